/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Bind, Release, SetVirtualFunctions and Apply. Each comes here twice: derive_operation() finds out
 * what has to be authorised, method_operation() does it. Both read the message and resolve its
 * words anew.
 */

#include "basic/names.h"
#include "daemon/bus-internal.h"

enum { REFUSALS_SHOWN_MAX = 64 };

/* A call's arguments. Strings are weak: they live as long as the message. */
typedef struct Call {
        Operation op;
        PciAddress *addresses;
        uint64_t flags;
} Call;

static void call_done(Call *c)
{
        free(c->addresses);
}

static int read_accept(char **words, HazardSet *ret, sd_bus_error *error)
{
        HazardSet set = 0;

        STRV_FOREACH(w, words) {
                int reason = reason_from_string(*w);

                if (reason < 0 || !reason_is_acceptable((Reason)reason))
                        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                                 "'%s' is no hazard that can be accepted", *w);
                set |= hazard_bit((Reason)reason);
        }
        *ret = set;
        return 0;
}

static int read_driver(sd_bus_message *m, Call *c, sd_bus_error *error)
{
        const char *word;
        int r;

        r = sd_bus_message_read(m, "s", &word);
        if (r < 0)
                return r;
        if (strlen(word) > BUS_WORD_MAX || target_kind_parse(word, &c->op.target) < 0)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "'%.*s' cannot be a driver", BUS_WORD_MAX, word);
        c->op.driver = c->op.target == TARGET_DRIVER ? word : NULL;
        return 0;
}

static int read_options(sd_bus_message *m, Call *c, sd_bus_error *error)
{
        BusOption accept = { .field = { .name = "accept", .type = FIELD_STRV } };
        int r;

        r = bus_read_options(m, &accept, 1, error);
        if (r >= 0)
                r = read_accept((char **)accept.field.strv, &c->op.accept, error);
        bus_options_done(&accept, 1);
        return r;
}

/* An Apply names no device, so it accepts no hazard: there is nobody to authorise that for. */
static int read_apply(sd_bus_message *m, Call *c, sd_bus_error *error)
{
        int r;

        r = bus_read_flags(m, VFIOD_FLAG_DRY_RUN | VFIOD_FLAG_NO_WAIT, &c->flags, error);
        return r < 0 ? r : bus_read_options(m, NULL, 0, error);
}

static OperationKind called_operation(sd_bus_message *m)
{
        const char *member = sd_bus_message_get_member(m);

        if (streq(member, "Bind"))
                return OPERATION_BIND;
        if (streq(member, "SetVirtualFunctions"))
                return OPERATION_SRIOV;
        return streq(member, "Release") ? OPERATION_RELEASE : OPERATION_APPLY;
}

/* The PF, and the number of VFs that it is to have. */
static int read_sriov(sd_bus_message *m, const Snapshot *s, Call *c, sd_bus_error *error)
{
        PciAddress *pf = calloc(1, sizeof(PciAddress));
        int r;

        if (!pf)
                return -ENOMEM;
        c->addresses = pf;
        c->op.n_addresses = 1;
        r = bus_read_device(m, s, pf, error);
        if (r < 0)
                return r;
        if (!inventory_find(s->inventory, pf))
                return sd_bus_error_setf(error, VFIOD_ERROR("NoSuchDevice"), "%s: no such device",
                                         PCI_ADDRESS_STR(pf));
        r = sd_bus_message_read(m, "u", &c->op.num_vfs);
        if (r >= 0 && c->op.num_vfs > VF_COUNT_MAX)
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "%u is no number of VFs, %d is the largest", c->op.num_vfs,
                                         VF_COUNT_MAX);
        return r;
}

static int read_call(const Bus *b, sd_bus_message *m, Call *c, sd_bus_error *error)
{
        OperationKind kind = called_operation(m);
        Snapshot s = manager_snapshot(b->manager);
        int r;

        c->op.kind = kind;
        c->op.uid = UINT32_MAX;
        if (kind == OPERATION_APPLY)
                return read_apply(m, c, error);
        if (kind == OPERATION_SRIOV)
                r = read_sriov(m, &s, c, error);
        else
                r = bus_read_devices(m, s.inventory, &c->addresses, &c->op.n_addresses, error);
        c->op.addresses = c->addresses;
        if (r >= 0 && kind == OPERATION_BIND)
                r = read_driver(m, c, error);
        if (r >= 0)
                r = bus_read_flags(m, VFIOD_FLAG_DRY_RUN | VFIOD_FLAG_NO_WAIT | VFIOD_FLAG_PERSIST,
                                   &c->flags, error);
        c->op.persist = c->flags & VFIOD_FLAG_PERSIST;
        return r < 0 ? r : read_options(m, c, error);
}

int derive_operation(Bus *b, sd_bus_message *m, CheckList *checks, sd_bus_error *error)
{
        Snapshot s = manager_snapshot(b->manager);
        _cleanup_(call_done) Call c = { 0 };
        int r;

        r = read_call(b, m, &c, error);
        if (r < 0)
                return r;
        if (c.flags & VFIOD_FLAG_DRY_RUN) {
                checks->reading = true;
                return 0;
        }
        if (c.op.kind == OPERATION_APPLY)
                return check_list_add(checks, POLKIT_ACTION_CONFIGURE, NULL);
        return bus_add_unit_checks(&s, &c.op, checks);
}

/* An operation without addresses, or none at all, concerns every unit. */
static bool unit_concerns(const Unit *u, const Operation *op)
{
        if (!op || op->n_addresses == 0)
                return true;
        for (size_t i = 0; i < u->n_members; i++)
                if (addresses_contain(op->addresses, op->n_addresses, &u->members[i]))
                        return true;
        for (size_t i = 0; i < u->n_refusals; i++)
                if (addresses_contain(op->addresses, op->n_addresses, &u->refusals[i].address))
                        return true;
        return false;
}

static int append_unit(sd_bus_message *m, const Unit *u)
{
        int r = 0;

        for (size_t i = 0; r >= 0 && i < u->n_steps + u->n_refusals; i++) {
                r = bus_open_dict(m);
                if (r < 0)
                        break;
                r = i < u->n_steps ? describe_step(u, &u->steps[i], bus_append_field, m)
                                   : describe_refusal(u, &u->refusals[i - u->n_steps],
                                                      bus_append_field, m);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r;
}

int bus_append_plan(sd_bus_message *m, const Plan *plan, const Operation *op)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && plan && i < plan->n_units; i++)
                if (unit_concerns(&plan->units[i], op))
                        r = append_unit(m, &plan->units[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The lines of an error's message, and the error's name. */
typedef struct Refusals {
        char **lines;
        const char *name;
        size_t n;
} Refusals;

static int add_refusal(Refusals *all, const Refusal *refusal)
{
        const ReasonRow *row = reason_row(refusal->reason);
        bool hazard = streq(row->dbus_error, VFIOD_ERROR("Refused"));

        /* The first that is more than a refused hazard gives its name to all. */
        if (!all->name || (!hazard && streq(all->name, VFIOD_ERROR("Refused"))))
                all->name = row->dbus_error;
        if (++all->n > REFUSALS_SHOWN_MAX)
                return 0;
        return strv_extendf(&all->lines, "%s: refused: %s: %s (%s)",
                            PCI_ADDRESS_STR(&refusal->address), row->id,
                            refusal->detail ? refusal->detail : row->sentence, row->remedy);
}

static int collect_refusals(Refusals *all, const Plan *plan, const Operation *op)
{
        int r;

        for (size_t i = 0; i < plan->n_units; i++) {
                const Unit *u = &plan->units[i];

                for (size_t k = 0; unit_concerns(u, op) && k < u->n_refusals; k++) {
                        /* What only takes a moment is waited for by the job. */
                        if (u->refusals[k].reason == REASON_WAITING)
                                continue;
                        r = add_refusal(all, &u->refusals[k]);
                        if (r < 0)
                                return r;
                }
        }
        if (all->n > REFUSALS_SHOWN_MAX)
                return strv_extendf(&all->lines, "and %zu more", all->n - REFUSALS_SHOWN_MAX);
        return 0;
}

int bus_check_refusals(const Plan *plan, const Operation *op, sd_bus_error *error)
{
        _cleanup_free_ char *message = NULL;
        Refusals all = { 0 };
        int r;

        r = collect_refusals(&all, plan, op);
        if (r >= 0 && all.n > 0) {
                message = strv_join(all.lines, "\n");
                if (message)
                        (void)sd_bus_error_set(error, all.name, message);
                r = message ? -EACCES : -ENOMEM;
        }
        strv_free(all.lines);
        return r;
}

static int submit(Bus *b, sd_bus_message *m, const Call *c, sd_bus_message *reply,
                  sd_bus_error *error)
{
        _cleanup_free_ char *path = NULL;
        Job *j = NULL;
        int r;

        r = manager_submit(b->manager, &c->op, &j, error);
        if (r < 0)
                return r;
        if (c->flags & VFIOD_FLAG_NO_WAIT) {
                r = bus_number_path(VFIOD_JOB_PREFIX, j->id, &path);
                return r < 0 ? r : sd_bus_message_append(reply, "oaa{sv}", path, 0);
        }
        if (job_is_over(j))
                bus_answer_job(j, m);
        else
                j->message = sd_bus_message_ref(m);
        return -EINPROGRESS;
}

int method_operation(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                     sd_bus_error *error)
{
        _cleanup_(desired_freep) Desired *desired = NULL;
        _cleanup_(plan_freep) Plan *plan = NULL;
        _cleanup_(call_done) Call c = { 0 };
        int r;

        r = read_call(b, m, &c, error);
        if (r < 0)
                return r;
        c.op.uid = caller->uid;
        r = manager_preview(b->manager, &c.op, &desired, &plan, error);
        if (r < 0)
                return r;
        if (c.flags & VFIOD_FLAG_DRY_RUN) {
                r = sd_bus_message_append(reply, "o", "/");
                return r < 0 ? r : bus_append_plan(reply, plan, &c.op);
        }
        if (!caller->authorised)
                return -EACCES;
        /* An Apply goes on with what is not refused; its answer at the end tells of the rest. */
        r = c.op.kind == OPERATION_APPLY ? 0 : bus_check_refusals(plan, &c.op, error);
        return r < 0 ? r : submit(b, m, &c, reply, error);
}
