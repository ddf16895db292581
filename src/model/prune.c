/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of the table of origins is not needed any more. */

#include "model/status.h"

/* The PF has as many VFs as before, and nothing says that it is to have another number. */
static bool vfs_are_back(const Origin *o, const Target *t, const Device *d)
{
        return o->counted && !o->autoprobe_off && t->num_vfs < 0 && !t->hold &&
               t->kind == TARGET_UNMANAGED && t->problem == REASON_NONE && d->num_vfs == o->num_vfs;
}

/* Which file decides may change with nothing to be done; it is the one to be waited for then. */
static bool update_rule(Origin *o, const Target *t)
{
        char *name;

        if (!t->rule || t->requested || streq_ptr(o->rule, t->rule->name))
                return false;
        name = strdup(t->rule->name);
        if (!name)
                return false;
        free(o->rule);
        o->rule = name;
        return true;
}

/* The file that an entry is for is there, though it may just not apply. */
static bool rule_is_there(const Origin *o, const Config *config)
{
        return o->rule &&
               (config_find_rule(config, o->rule) || config_rule_is_broken(config, o->rule) ||
                strv_contains(config->skipped, o->rule));
}

/* The card is there, and nobody says anything of it: how it was once approved is over. */
static bool is_forgotten(const Origin *o, const Target *t)
{
        return !o->taken && !origin_owes_vfs(o) && !target_is_managed(t) && !t->hold;
}

bool origin_table_prune(OriginTable *t, const Inventory *inv, const Desired *desired,
                        const Config *config, find_track_t find_track, void *userdata)
{
        bool pruned = false;

        for (size_t i = t->n_origins; i > 0; i--) {
                Origin *o = &t->origins[i - 1];
                const PciAddress address = o->address;
                const Track *track = find_track ? find_track(userdata, &address) : NULL;
                ssize_t index = inventory_index(inv, &address);
                const Target *target = index >= 0 ? &desired->targets[index] : NULL;

                if (track && track_is_closed(track))
                        continue;
                pruned = (target && update_rule(o, target)) || pruned;
                if (target && vfs_are_back(o, target, inv->devices[index])) {
                        origin_table_forget_counted(t, &address);
                        pruned = true;
                } else if (!rule_is_there(o, config) && (!target || is_forgotten(o, target))) {
                        origin_table_remove(t, &address);
                        pruned = true;
                }
        }
        return pruned;
}
