/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/desired.h"
#include "model/match.h"

enum { EXPECT_BITS = 64 };

bool target_equal(const Target *a, const Target *b)
{
        return a->kind == b->kind && streq_ptr(a->driver, b->driver) && a->rule == b->rule &&
               a->requested == b->requested && a->implied == b->implied &&
               a->matched == b->matched && a->hold == b->hold && a->accept == b->accept &&
               a->access == b->access && a->pf_rule == b->pf_rule && a->num_vfs == b->num_vfs &&
               a->gave_up == b->gave_up && a->problem == b->problem;
}

bool target_is_managed(const Target *t)
{
        return t->kind != TARGET_UNMANAGED || t->problem != REASON_NONE || t->num_vfs >= 0 ||
               t->pf_rule;
}

bool target_moves_group(const Target *t)
{
        return t->problem == REASON_NONE &&
               (t->kind == TARGET_VFIO ||
                (t->kind == TARGET_DRIVER && driver_name_is_vfio(t->driver)));
}

bool target_keeps_vfs(TargetKind kind, const char *driver)
{
        return kind == TARGET_UNMANAGED || kind == TARGET_HOST ||
               (kind == TARGET_DRIVER && !driver_name_is_vfio(driver));
}

static const Access *rule_access(const Rule *r)
{
        return r->access.has_uid || r->access.has_gid || r->access.has_mode ? &r->access : NULL;
}

static void target_from_rule(Target *t, const Rule *r, const Device *d)
{
        *t = (Target){
                .num_vfs = r->num_vfs == VF_COUNT_MAX && d->total_vfs > 0 ? (int)d->total_vfs
                                                                          : (int)r->num_vfs,
                .kind = r->target,
                .driver = r->driver,
                .rule = r,
                .matched = true,
                .accept = r->accept,
                .access = rule_access(r),
        };
        if (!r->has_sriov)
                t->num_vfs = -1;
}

/* A request for a number of VFs only: all else stays what the files say. */
static void count_from_request(Target *t, const Request *r)
{
        t->num_vfs = (int)r->num_vfs;
        t->accept |= r->accept;
        t->requested = t->requested || !t->rule;
        t->matched = true;
}

static void target_from_request(Target *t, const Request *r)
{
        const Access *access = t->access;
        const Rule *rule = t->rule;
        int num_vfs = r->counts ? (int)r->num_vfs : r->release ? -1 : t->num_vfs;

        if (!r->release && r->target == TARGET_UNMANAGED) {
                count_from_request(t, r);
                return;
        }
        *t = (Target){
                .num_vfs = num_vfs,
                .kind = r->release ? TARGET_UNMANAGED : r->target,
                .driver = r->driver,
                .rule = rule,
                .requested = true,
                .matched = !r->release,
                .accept = r->accept,
                .access = access,
        };
}

/* A file that says how many VFs there are is about PFs, whatever else its keys would match. */
static MatchResult match_rule(const Rule *rule, const Device *d, const Origin *o)
{
        if (rule->has_sriov && d->is_vf)
                return MATCH_NO;
        return match_device(&rule->match, d, o);
}

/* The first rule that matches a device decides for it. */
static Found match_rules(const Config *config, const Device *d, const Origin *o)
{
        Found found = { .stamp = o ? o->stamp : 0 };
        unsigned n_expect = 0;

        for (size_t i = 0; i < config->n_rules; i++) {
                const Rule *rule = config->rules[i];
                bool expects = rule->match.expect >= 0;
                MatchResult result;

                if (!found.rule || expects) {
                        result = match_rule(rule, d, o);
                        if (result == MATCH_YES && !found.rule)
                                found.rule = rule;
                        if (result == MATCH_YES && expects && n_expect < EXPECT_BITS)
                                found.expected |= UINT64_C(1) << n_expect;
                        if (result == MATCH_GUARD_FAILED && !found.guard)
                                found.guard = rule;
                }
                n_expect += expects;
        }
        return found;
}

/* Whether what was found before still holds: files do not change, but make room for others. */
static bool rules_are_same(const Config *config, const Desired *before)
{
        return before && before->n_rules == config->n_rules &&
               (config->n_rules == 0 ||
                memcmp(before->rules, config->rules, config->n_rules * sizeof(Rule *)) == 0);
}

/* What a device matches follows from the files, from itself and from where it came from. */
static void find_rules(const Config *config, const Origin **origins, const Inventory *inv,
                       const Known *known, Found *ret)
{
        bool same = rules_are_same(config, known->desired);
        size_t k = 0;

        for (size_t i = 0; i < inv->n_devices; i++) {
                const Device *d = inv->devices[i];
                uint64_t stamp = origins[i] ? origins[i]->stamp : 0;

                while (same && k < known->inv->n_devices &&
                       pci_address_compare(&known->inv->devices[k]->address, &d->address) < 0)
                        k++;
                if (same && k < known->inv->n_devices && known->inv->devices[k] == d &&
                    known->desired->found[k].stamp == stamp)
                        ret[i] = known->desired->found[k];
                else
                        ret[i] = match_rules(config, d, origins[i]);
        }
}

static bool expectation_fails(const Rule *rule, unsigned n_expect, const Inventory *inv,
                              const Origin **origins, const Found *found)
{
        int n = 0;

        for (size_t i = 0; i < inv->n_devices; i++)
                n += n_expect < EXPECT_BITS
                             ? found[i].expected >> n_expect & 1
                             : match_rule(rule, inv->devices[i], origins[i]) == MATCH_YES;
        return n != rule->match.expect;
}

static void apply_rules(const Config *config, const Inventory *inv, const Origin **origins,
                        const Found *found, Target *targets)
{
        unsigned n_expect = 0;

        for (size_t i = 0; i < inv->n_devices; i++)
                if (found[i].rule)
                        target_from_rule(&targets[i], found[i].rule, inv->devices[i]);
                else if (found[i].guard)
                        targets[i] = (Target){ .rule = found[i].guard,
                                               .problem = REASON_ID_MISMATCH,
                                               .num_vfs = -1 };
        for (size_t k = 0; k < config->n_rules; k++) {
                const Rule *rule = config->rules[k];

                if (rule->match.expect < 0 ||
                    !expectation_fails(rule, n_expect++, inv, origins, found))
                        continue;
                for (size_t i = 0; i < inv->n_devices; i++)
                        if (found[i].rule == rule)
                                targets[i].problem = REASON_EXPECT_MISMATCH;
        }
}

static void apply_requests(const RequestTable *requests, const Inventory *inv, Target *targets)
{
        for (size_t i = 0; i < requests->n_requests; i++) {
                const Request *r = &requests->requests[i];
                ssize_t k = inventory_index(inv, &r->address);

                if (k >= 0 && inv->devices[k]->vendor == r->vendor &&
                    inv->devices[k]->device == r->device)
                        target_from_request(&targets[k], r);
        }
}

/*
 * What the file of its PF says of a VF. Where a file or request names the VF itself, that decides
 * its driver; the settings are the PF's, and always come from there.
 */
static void inherit(Target *t, const Target *pf, unsigned index)
{
        const char *driver;
        TargetKind kind;

        if (pf->hold || pf->problem != REASON_NONE) {
                t->hold = t->hold || !t->matched;
                return;
        }
        if (!pf->matched || !pf->rule || !pf->rule->has_sriov)
                return;
        if (!t->requested || t->matched) /* but not if it was released */
                t->pf_rule = pf->rule;
        if (t->matched || t->requested || t->problem != REASON_NONE)
                return;
        kind = rule_vf_target(pf->rule, index, &driver);
        *t = (Target){
                .kind = kind,
                .driver = driver,
                .rule = pf->rule,
                .matched = kind != TARGET_UNMANAGED,
                .accept = pf->accept,
                .access = rule_access(pf->rule),
                .pf_rule = pf->rule,
                .num_vfs = -1,
        };
}

static void inherit_from_pfs(const Inventory *inv, Target *targets)
{
        for (size_t i = 0; i < inv->n_devices; i++) {
                const Device *d = inv->devices[i];
                ssize_t pf = d->is_vf ? inventory_index(inv, &d->pf) : -1;

                if (pf >= 0 && d->vf_index >= 0)
                        inherit(&targets[i], &targets[pf], (unsigned)d->vf_index);
        }
}

/*
 * Whether the file in error would decide for the device: no other does, or only one that comes
 * after it.
 */
static bool broken_decides(const Origin *o, const Target *t)
{
        if (t->requested)
                return false;
        return t->kind == TARGET_UNMANAGED ||
               (!o->implied && t->rule && strcmp(o->rule, t->rule->name) < 0);
}

/* A file in error names its devices no more; what was taken for it stays as it is. */
static void hold_broken(const Config *config, const Inventory *inv, const Origin **origins,
                        Target *targets)
{
        for (size_t i = 0; i < inv->n_devices; i++) {
                const Origin *o = origins[i];
                Target *t = &targets[i];

                if (!o || !o->rule || !config_rule_is_broken(config, o->rule))
                        continue;
                if (broken_decides(o, t) && t->kind == TARGET_UNMANAGED)
                        t->hold = true;
                else if (broken_decides(o, t))
                        *t = (Target){ .hold = true, .num_vfs = -1 };
                else if (o->counted && t->matched && t->num_vfs < 0)
                        t->num_vfs = (int)inv->devices[i]->num_vfs;
        }
}

/* Whether the file names a device that is there, or one that is there was taken for it by name. */
static bool rule_has_device(const Target *targets, const Origin **origins, size_t n,
                            const char *rule)
{
        for (size_t i = 0; i < n; i++)
                if ((targets[i].rule && targets[i].matched && streq(targets[i].rule->name, rule)) ||
                    (origins[i] && origins[i]->taken && !origins[i]->implied &&
                     streq_ptr(origins[i]->rule, rule)))
                        return true;
        return false;
}

/*
 * What moved with a card that was only unplugged waits for it: its file is still there. If the card
 * is, too, then the file is about something else now.
 */
static void hold_companions(const Config *config, const Inventory *inv, const Origin **origins,
                            Target *targets)
{
        for (size_t i = 0; i < inv->n_devices; i++) {
                const Origin *o = origins[i];

                if (o && o->implied && o->rule && targets[i].kind == TARGET_UNMANAGED &&
                    !targets[i].requested && config_find_rule(config, o->rule) &&
                    !rule_has_device(targets, origins, inv->n_devices, o->rule))
                        targets[i].hold = true;
        }
}

/* Where a member is held on VFIO, the others stay, too: without them nobody could use it. */
static void hold_group(const Group *g, Target *targets)
{
        bool held = false;

        for (size_t i = 0; i < g->n_members; i++)
                held = held || (targets[g->indices[i]].hold && g->members[i]->driver_is_vfio);
        for (size_t i = 0; held && i < g->n_members; i++) {
                Target *t = &targets[g->indices[i]];

                t->hold = t->hold || (t->kind == TARGET_UNMANAGED && !t->requested);
        }
}

/* References to all that the targets will point into. */
static int keep_sources(const Config *config, const RequestTable *requests, Desired *d)
{
        d->rules = calloc(config->n_rules + 1, sizeof(Rule *));
        if (!d->rules)
                return -ENOMEM;
        for (; d->n_rules < config->n_rules; d->n_rules++)
                d->rules[d->n_rules] = rule_ref(config->rules[d->n_rules]);
        return requests ? request_table_copy(requests, &d->requests) : 0;
}

/* The member whose file or request makes the group move, or NULL. */
static const Target *find_leader(const Group *g, const Target *targets)
{
        for (size_t i = 0; i < g->n_members; i++) {
                const Target *t = &targets[g->indices[i]];

                if (target_moves_group(t) && !device_is_system(g->members[i]))
                        return t;
        }
        return NULL;
}

static void expand_group(const Group *g, Target *targets)
{
        const Target *leader = find_leader(g, targets);

        if (!leader || g->members[0]->group_is_noiommu)
                return;
        for (size_t i = 0; i < g->n_members; i++) {
                Target *t = &targets[g->indices[i]];

                if (t->matched || t->problem != REASON_NONE || device_is_system(g->members[i]))
                        continue;
                *t = (Target){
                        .kind = TARGET_VFIO,
                        .num_vfs = t->num_vfs,
                        .pf_rule = t->pf_rule,
                        .rule = leader->rule,
                        .requested = leader->requested,
                        .implied = true,
                        .accept = leader->accept,
                        .access = leader->access,
                };
        }
}

/* Exact addresses in a rule at which nothing is. */
static int collect_absent(const Rule *rule, const Inventory *inv, Desired *d)
{
        STRV_FOREACH(p, rule->match.patterns[MATCH_ADDRESS]) {
                PciAddress a;

                if (pci_address_parse(*p, &a) < 0 || inventory_find(inv, &a))
                        continue;
                if (!GROW(d->absent, d->n_absent))
                        return -ENOMEM;
                d->absent[d->n_absent++] = (Absent){ a, rule };
        }
        return 0;
}

static int compare_absent(const void *a, const void *b)
{
        const Absent *x = a, *y = b;
        int c = pci_address_compare(&x->address, &y->address);

        return c ? c : strcmp(x->rule->name, y->rule->name);
}

/* Each place once, for the first of its rules. */
static void sort_absent(Desired *d)
{
        size_t n = 0;

        if (d->n_absent > 0)
                qsort(d->absent, d->n_absent, sizeof(Absent), compare_absent);
        for (size_t i = 0; i < d->n_absent; i++)
                if (n == 0 || !pci_address_equal(&d->absent[n - 1].address, &d->absent[i].address))
                        d->absent[n++] = d->absent[i];
        d->n_absent = n;
}

int desired_update(const Config *config, const RequestTable *requests, const OriginTable *origins,
                   const Inventory *inv, const Known *known, Desired **ret)
{
        _cleanup_(desired_freep) Desired *d = calloc(1, sizeof(Desired));
        _cleanup_free_ const Origin **joined = NULL;
        int r;

        if (!d)
                return -ENOMEM;
        d->targets = calloc(inv->n_devices + 1, sizeof(Target));
        d->found = calloc(inv->n_devices + 1, sizeof(Found));
        if (!d->targets || !d->found)
                return -ENOMEM;
        d->n_targets = inv->n_devices;
        for (size_t i = 0; i < d->n_targets; i++)
                d->targets[i].num_vfs = -1;
        r = keep_sources(config, requests, d);
        if (r >= 0)
                r = origin_table_join(origins, inv, &joined);
        if (r < 0)
                return r;
        find_rules(config, joined, inv, known, d->found);
        apply_rules(config, inv, joined, d->found, d->targets);
        for (size_t i = 0; i < config->n_rules && r >= 0; i++)
                r = collect_absent(config->rules[i], inv, d);
        if (r < 0)
                return r;
        sort_absent(d);
        apply_requests(&d->requests, inv, d->targets);
        hold_broken(config, inv, joined, d->targets);
        hold_companions(config, inv, joined, d->targets);
        inherit_from_pfs(inv, d->targets);
        for (size_t i = 0; i < inv->n_groups; i++) {
                hold_group(&inv->groups[i], d->targets);
                expand_group(&inv->groups[i], d->targets);
        }
        *ret = TAKE_PTR(d);
        return 0;
}

int desired_compute(const Config *config, const RequestTable *requests, const OriginTable *origins,
                    const Inventory *inv, Desired **ret)
{
        return desired_update(config, requests, origins, inv, &(Known){ NULL, NULL }, ret);
}

Desired *desired_free(Desired *d)
{
        if (!d)
                return NULL;
        for (size_t i = 0; i < d->n_rules; i++)
                rule_unref(d->rules[i]);
        free(d->rules);
        request_table_done(&d->requests);
        free(d->targets);
        free(d->found);
        free(d->absent);
        free(d);
        return NULL;
}

void driver_choices_free(DriverChoice *choices, size_t n)
{
        for (size_t i = 0; choices && i < n; i++) {
                free(choices[i].driver);
                free(choices[i].module);
        }
        free(choices);
}
