/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/unit.h"

#include <stdio.h>

void unit_done(Unit *u)
{
        for (size_t i = 0; i < u->n_steps; i++)
                free(u->steps[i].argument);
        for (size_t i = 0; i < u->n_refusals; i++)
                free(u->refusals[i].detail);
        free(u->members);
        free(u->back);
        free(u->steps);
        free(u->checks);
        free(u->refusals);
        *u = (Unit){ 0 };
}

static int append_address(PciAddress **list, size_t *n, const PciAddress *address)
{
        if (!GROW(*list, *n))
                return -ENOMEM;
        (*list)[(*n)++] = *address;
        return 0;
}

int unit_add_member(Unit *u, const PciAddress *address)
{
        return append_address(&u->members, &u->n_members, address);
}

int unit_add_back(Unit *u, const PciAddress *address)
{
        return append_address(&u->back, &u->n_back, address);
}

/* Takes over `s.argument`, also on failure. */
static int append_step(Unit *u, Step s)
{
        if (!GROW(u->steps, u->n_steps)) {
                free(s.argument);
                return -ENOMEM;
        }
        u->steps[u->n_steps++] = s;
        return 0;
}

int unit_add_step(Unit *u, StepKind kind, const PciAddress *address, const char *argument,
                  const char *why)
{
        char *copy = NULL;

        if (argument) {
                copy = strdup(argument);
                if (!copy)
                        return -ENOMEM;
        }
        return append_step(
                u, (Step){ .kind = kind, .address = *address, .argument = copy, .why = why });
}

int unit_restore_override(Unit *u, const PciAddress *address, const char *override, const char *why)
{
        return unit_add_step(u, override ? STEP_SET_OVERRIDE : STEP_CLEAR_OVERRIDE, address,
                             override, why);
}

int unit_add_count(Unit *u, const PciAddress *pf, unsigned n, const char *why)
{
        char number[12];
        int r;

        snprintf(number, sizeof(number), "%u", n);
        r = unit_add_step(u, STEP_SET_NUMVFS, pf, number, why);
        return r < 0 ? r
                     : unit_add_step(u, STEP_WAIT_VFS, pf, number,
                                     n > 0 ? "until all of them are there"
                                           : "until all of them are gone");
}

int unit_add_vf_setting(Unit *u, const PciAddress *vf, const VfSettings *settings)
{
        char *text = vf_settings_format(settings);

        if (!text)
                return -ENOMEM;
        return append_step(u, (Step){ .kind = STEP_VF_SETTING,
                                      .address = *vf,
                                      .argument = text,
                                      .settings = *settings,
                                      .why = "its PF sets it, as declared" });
}

int unit_add_check(Unit *u, const PciAddress *address, HazardSet accept, bool goes)
{
        if (!GROW(u->checks, u->n_checks))
                return -ENOMEM;
        u->checks[u->n_checks++] = (Check){ *address, accept, goes };
        return 0;
}

int unit_add_node_access(Unit *u, const PciAddress *address, const Access *access)
{
        return append_step(u, (Step){ .kind = STEP_NODE_ACCESS,
                                      .address = *address,
                                      .group = u->group,
                                      .access = *access,
                                      .why = "[Access] declares its owner and mode" });
}

int unit_refuse(Unit *u, Reason reason, const PciAddress *address, const char *detail)
{
        char *copy = NULL;

        if (!GROW(u->refusals, u->n_refusals))
                return -ENOMEM;
        if (detail) {
                copy = strdup(detail);
                if (!copy)
                        return -ENOMEM;
        }
        u->refusals[u->n_refusals++] =
                (Refusal){ .reason = reason, .address = *address, .detail = copy };
        return 0;
}

int unit_refuse_waiting(Unit *u, Reason reason, const PciAddress *address)
{
        int r = unit_refuse(u, reason, address, NULL);

        if (r >= 0)
                u->refusals[u->n_refusals - 1].waits = true;
        return r;
}

int unit_copy(const Unit *u, Unit *ret)
{
        _cleanup_(unit_done) Unit copy = { .group = u->group,
                                           .restore = u->restore,
                                           .sriov = u->sriov,
                                           .num_vfs = u->num_vfs,
                                           .accepted = u->accepted };
        int r = 0;

        for (size_t i = 0; i < u->n_members && r >= 0; i++)
                r = unit_add_member(&copy, &u->members[i]);
        for (size_t i = 0; i < u->n_back && r >= 0; i++)
                r = unit_add_back(&copy, &u->back[i]);
        for (size_t i = 0; i < u->n_checks && r >= 0; i++)
                r = unit_add_check(&copy, &u->checks[i].address, u->checks[i].accept,
                                   u->checks[i].goes);
        for (size_t i = 0; i < u->n_steps && r >= 0; i++) {
                const Step *s = &u->steps[i];

                r = unit_add_step(&copy, s->kind, &s->address, s->argument, s->why);
                if (r >= 0) {
                        copy.steps[i].group = s->group;
                        copy.steps[i].access = s->access;
                        copy.steps[i].settings = s->settings;
                }
        }
        for (size_t i = 0; i < u->n_refusals && r >= 0; i++)
                r = unit_refuse(&copy, u->refusals[i].reason, &u->refusals[i].address,
                                u->refusals[i].detail);
        for (size_t i = 0; i < u->n_refusals && r >= 0; i++)
                copy.refusals[i].waits = u->refusals[i].waits;
        if (r < 0)
                return r;
        *ret = copy;
        copy = (Unit){ 0 };
        return 0;
}

int plan_add_unit(Plan *p, Unit *u)
{
        if (!GROW(p->units, p->n_units))
                return -ENOMEM;
        p->units[p->n_units++] = *u;
        *u = (Unit){ 0 };
        return 0;
}

Plan *plan_free(Plan *p)
{
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_units; i++)
                unit_done(&p->units[i]);
        free(p->units);
        free(p);
        return NULL;
}

size_t plan_count_steps(const Plan *p)
{
        size_t n = 0;

        for (size_t i = 0; i < p->n_units; i++)
                n += p->units[i].n_steps;
        return n;
}

static void describe_access(const Access *a, FILE *f)
{
        if (a->has_uid)
                fprintf(f, " owner %u", a->uid);
        if (a->has_gid)
                fprintf(f, " group %u", a->gid);
        if (a->has_mode)
                fprintf(f, " mode %04o", a->mode);
}

char *step_describe(const Step *s)
{
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        switch (s->kind) {
        case STEP_LOAD_MODULE:
                fprintf(f, "load the module %s", s->argument);
                break;
        case STEP_SET_OVERRIDE:
                fprintf(f, "%s: set driver_override to %s", PCI_ADDRESS_STR(&s->address),
                        s->argument);
                break;
        case STEP_CLEAR_OVERRIDE:
                fprintf(f, "%s: clear driver_override", PCI_ADDRESS_STR(&s->address));
                break;
        case STEP_UNBIND:
                fprintf(f, "%s: unbind from %s", PCI_ADDRESS_STR(&s->address), s->argument);
                break;
        case STEP_BIND:
                fprintf(f, "%s: bind to %s", PCI_ADDRESS_STR(&s->address), s->argument);
                break;
        case STEP_PROBE:
                fprintf(f, "%s: let the kernel choose a driver", PCI_ADDRESS_STR(&s->address));
                break;
        case STEP_NODE_ACCESS:
                fprintf(f, "/dev/vfio/%d: set", s->group);
                describe_access(&s->access, f);
                break;
        case STEP_SET_AUTOPROBE:
                fprintf(f, "%s: set sriov_drivers_autoprobe to %s", PCI_ADDRESS_STR(&s->address),
                        s->argument);
                break;
        case STEP_SET_NUMVFS:
                fprintf(f, "%s: set sriov_numvfs to %s", PCI_ADDRESS_STR(&s->address), s->argument);
                break;
        case STEP_WAIT_VFS:
                fprintf(f, "%s: wait for %s VFs", PCI_ADDRESS_STR(&s->address), s->argument);
                break;
        case STEP_VF_SETTING:
                fprintf(f, "%s: set %s", PCI_ADDRESS_STR(&s->address), s->argument);
                break;
        default:
                break;
        }
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

void unit_settle(const Unit *u, OriginTable *origins)
{
        bool counted = false;

        for (size_t i = 0; i < u->n_back; i++)
                origin_table_forget_taken(origins, &u->back[i]);
        for (size_t i = 0; i < u->n_steps && u->restore; i++) {
                Origin *o = origin_table_find(origins, &u->steps[i].address);

                counted = counted || u->steps[i].kind == STEP_SET_NUMVFS;
                if (o && u->steps[i].kind == STEP_SET_AUTOPROBE)
                        o->autoprobe_off = false;
        }
        if (counted)
                origin_table_forget_counted(origins, &u->members[0]);
}

const Step *unit_find_step(const Unit *u, StepKind kind, const PciAddress *a)
{
        for (size_t i = u->n_steps; i > 0; i--)
                if (u->steps[i - 1].kind == kind && pci_address_equal(&u->steps[i - 1].address, a))
                        return &u->steps[i - 1];
        return NULL;
}
