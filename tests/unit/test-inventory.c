/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What snapshots of one host after the other have in common, and how it is found in them. */

#include "host-model.h"

enum { DEVICES_MAX = 60, ROUNDS = 12 };

static PciAddress random_address(GRand *rand)
{
        return (PciAddress){ .domain = (uint32_t)g_rand_int_range(rand, 0, 2) * 0x10000,
                             .bus = (uint8_t)g_rand_int_range(rand, 0, 3),
                             .device = (uint8_t)g_rand_int_range(rand, 0, 8) };
}

static Device *random_device(GRand *rand, const PciAddress *address)
{
        static const char *const drivers[] = { NULL, "nvme", "igb", "vfio-pci" };
        const char *driver = drivers[g_rand_int_range(rand, 0, 4)];
        Device *d = device_new(address);

        d->vendor = (uint16_t)(0x8086 + g_rand_int_range(rand, 0, 2));
        d->device = (uint16_t)g_rand_int_range(rand, 1, 4);
        d->class = 0x020000;
        d->group = g_rand_int_range(rand, -1, 20) * 37;
        d->driver = g_strdup(driver);
        d->driver_is_vfio = driver && streq(driver, "vfio-pci");
        d->is_vf = g_rand_int_range(rand, 0, 3) == 0;
        if (d->is_vf) {
                d->pf = random_address(rand);
                d->vf_index = g_rand_int_range(rand, 0, 8);
        }
        return d;
}

/* Some devices stay as they are, some have changed, some go and some come. */
static Inventory *random_inventory(GRand *rand, const Inventory *before)
{
        Device *devices[2 * DEVICES_MAX];
        Inventory *inv;
        size_t n = 0;

        for (size_t i = 0; before && i < before->n_devices; i++) {
                int what = g_rand_int_range(rand, 0, 8);

                if (what == 0)
                        continue;
                devices[n++] = what == 1 ? random_device(rand, &before->devices[i]->address)
                                         : device_ref(before->devices[i]);
        }
        while (n < DEVICES_MAX && g_rand_int_range(rand, 0, before ? 4 : 40) > 0) {
                PciAddress a = random_address(rand);
                bool taken = inventory_find(before, &a);

                for (size_t i = 0; i < n; i++)
                        taken = taken || pci_address_equal(&devices[i]->address, &a);
                if (!taken)
                        devices[n++] = random_device(rand, &a);
        }
        g_assert_cmpint(inventory_new(devices, n, true, NULL, &inv), ==, 0);
        return inv;
}

static void check_groups(const Inventory *inv)
{
        size_t n = 0;

        for (size_t i = 0; i < inv->n_groups; i++) {
                const Group *g = &inv->groups[i];

                g_assert_true(i == 0 || inv->groups[i - 1].number < g->number);
                for (size_t k = 0; k < g->n_members; k++, n++) {
                        g_assert_true(inv->devices[g->indices[k]] == g->members[k]);
                        g_assert_true(inv->group_of[g->indices[k]] == g);
                        g_assert_cmpint(g->members[k]->group, ==, g->number);
                        g_assert_true(k == 0 || g->indices[k - 1] < g->indices[k]);
                }
        }
        for (size_t i = 0; i < inv->n_devices; i++) {
                n -= inv->devices[i]->group >= 0;
                g_assert_true(inv->group_of[i] == inventory_group(inv, inv->devices[i]->group));
        }
        g_assert_cmpuint(n, ==, 0);
}

static void check_vfs(const Inventory *inv, const PciAddress *pf)
{
        size_t n, k = 0;
        const uint32_t *vfs = inventory_vfs(inv, pf, &n);

        for (size_t i = 0; i < inv->n_devices; i++)
                if (inv->devices[i]->is_vf && pci_address_equal(&inv->devices[i]->pf, pf)) {
                        g_assert_cmpuint(k, <, n);
                        g_assert_cmpuint(vfs[k++], ==, i);
                }
        g_assert_cmpuint(k, ==, n);
}

static void test_groups_and_vfs_are_found(void)
{
        guint32 seed = g_test_rand_int();
        GRand *rand = g_rand_new_with_seed(seed);

        g_test_message("seed %u", seed);
        for (int i = 0; i < 500; i++) {
                Inventory *inv = random_inventory(rand, NULL);

                check_groups(inv);
                for (int k = 0; k < 10; k++) {
                        PciAddress pf = random_address(rand);

                        check_vfs(inv, &pf);
                }
                inventory_free(inv);
        }
        g_rand_free(rand);
}

static void random_rule(GRand *rand, Config *c)
{
        static const struct {
                MatchKey key;
                const char *pattern;
        } patterns[] = {
                { MATCH_ID, "8086:*" },           { MATCH_ID, "8087:0002" },
                { MATCH_ADDRESS, "0000:01:*" },   { MATCH_ADDRESS, "0000:01:02.0" },
                { MATCH_DRIVER, "nvme" },         { MATCH_DRIVER, "!igb" },
                { MATCH_MAC_ADDRESS, "02:00:*" }, { MATCH_ID, "8086:0001" },
        };
        char *name = g_strdup_printf("%02zu-rule.conf", c->n_rules);
        int first = g_rand_int_range(rand, 0, ELEMENTSOF(patterns));
        int second = g_rand_int_range(rand, 0, ELEMENTSOF(patterns));
        Rule *r = make_rule(name, patterns[first].key, patterns[first].pattern, TARGET_VFIO);

        if (patterns[second].key != patterns[first].key)
                g_assert_cmpint(strv_extend(&r->match.patterns[patterns[second].key],
                                            patterns[second].pattern),
                                ==, 0);
        if (g_rand_int_range(rand, 0, 3) == 0)
                r->match.expect = g_rand_int_range(rand, 0, 6);
        g_assert_cmpint(config_add_rule(c, r), ==, 0);
        g_free(name);
}

/* Devices are taken and given back. */
static void change_origins(GRand *rand, const Inventory *inv, OriginTable *t)
{
        for (int i = 0; i < 4 && inv->n_devices > 0; i++) {
                const Device *d = inv->devices[g_rand_int_range(rand, 0, (gint32)inv->n_devices)];
                Origin o = { .address = d->address, .taken = true };

                origin_table_remove(t, &d->address);
                if (g_rand_boolean(rand))
                        continue;
                g_assert_cmpint(identity_from_device(d, &o.identity), ==, 0);
                o.driver = g_strdup(g_rand_boolean(rand) ? "nvme" : "igb");
                o.has_mac = g_rand_boolean(rand);
                o.mac[0] = 2;
                g_assert_cmpint(origin_table_put(t, &o), ==, 0);
        }
}

static void check_same(const Desired *a, const Desired *b)
{
        g_assert_cmpuint(a->n_targets, ==, b->n_targets);
        for (size_t i = 0; i < a->n_targets; i++) {
                const Target *x = &a->targets[i], *y = &b->targets[i];

                g_assert_true(x->kind == y->kind && x->rule == y->rule &&
                              x->implied == y->implied && x->matched == y->matched &&
                              x->problem == y->problem && x->hold == y->hold &&
                              x->num_vfs == y->num_vfs && x->pf_rule == y->pf_rule);
        }
        g_assert_cmpuint(a->n_absent, ==, b->n_absent);
        for (size_t i = 0; i < a->n_absent; i++)
                g_assert_true(pci_address_equal(&a->absent[i].address, &b->absent[i].address));
}

static Config *random_config(GRand *rand)
{
        Config *c = config_new();

        for (int i = g_rand_int_range(rand, 0, 8); i > 0; i--)
                random_rule(rand, c);
        return c;
}

/* Looks one after the other; each is the same as the first look of a daemon that starts then. */
static void check_history(GRand *rand)
{
        Config *config = random_config(rand);
        OriginTable origins = { 0 };
        Inventory *inv = NULL;
        Desired *desired = NULL;

        for (int i = 0; i < ROUNDS; i++) {
                Inventory *next = random_inventory(rand, inv);
                Desired *updated, *anew;

                change_origins(rand, next, &origins);
                if (g_rand_int_range(rand, 0, 6) == 0) {
                        config_free(config);
                        config = random_config(rand);
                }
                g_assert_cmpint(desired_update(config, NULL, &origins, next,
                                               &(Known){ inv, desired }, &updated),
                                ==, 0);
                g_assert_cmpint(desired_compute(config, NULL, &origins, next, &anew), ==, 0);
                check_same(updated, anew);
                desired_free(anew);
                desired_free(desired);
                inventory_free(inv);
                desired = updated;
                inv = next;
        }
        desired_free(desired);
        inventory_free(inv);
        origin_table_done(&origins);
        config_free(config);
}

static void test_what_is_kept_from_the_look_before_changes_nothing(void)
{
        guint32 seed = g_test_rand_int();
        GRand *rand = g_rand_new_with_seed(seed);

        g_test_message("seed %u", seed);
        for (int i = 0; i < 300; i++)
                check_history(rand);
        g_rand_free(rand);
}

#define TEST(name) g_test_add_func("/inventory/" #name, test_##name)

int main(int argc, char **argv)
{
        g_test_init(&argc, &argv, NULL);
        TEST(groups_and_vfs_are_found);
        TEST(what_is_kept_from_the_look_before_changes_nothing);
        return g_test_run();
}
