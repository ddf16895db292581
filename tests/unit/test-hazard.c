/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the host needs stays where it is, unless a file or call accepts that hazard by its name. */

#include "host-model.h"

#define DRIVE "0000:07:00.0"
#define NIC "0000:05:01.0"         /* in the group behind the bridge */
#define ACCELERATOR "0000:05:02.0" /* beside it */

static void use(World *w, const char *address, Reason hazard, const char *by)
{
        PciAddress a;

        g_assert_cmpint(pci_address_parse(address, &a), ==, 0);
        g_assert_cmpint(use_table_add(&w->uses, &a, hazard, "%s", by), ==, 0);
}

static void test_a_disk_in_use_is_not_taken(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, DRIVE, TARGET_VFIO);
        use(&w, DRIVE, REASON_MOUNTED_FILESYSTEM, "/dev/nvme0n1p1 is mounted at /srv");
        use(&w, DRIVE, REASON_SWAP, "/dev/nvme0n1p2 is used as swap");
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpuint(w.plan->units[0].n_refusals, ==, 2);
        g_assert_cmpint(world_status(&w, DRIVE).state, ==, STATE_BLOCKED);
        g_assert_cmpint(world_status(&w, DRIVE).reason, ==, REASON_MOUNTED_FILESYSTEM);
        g_assert_cmpstr(world_status(&w, DRIVE).detail, ==, "/dev/nvme0n1p1 is mounted at /srv");
        world_done(&w);
}

static void test_accepting_is_by_name(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, DRIVE, TARGET_VFIO);
        use(&w, DRIVE, REASON_MOUNTED_FILESYSTEM, "/dev/nvme0n1p1 is mounted at /srv");
        w.config->rules[0]->accept = (HazardSet)~hazard_bit(REASON_MOUNTED_FILESYSTEM);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        w.config->rules[0]->accept = hazard_bit(REASON_MOUNTED_FILESYSTEM);
        world_plan(&w);
        g_assert_cmpuint(w.plan->units[0].accepted, ==, hazard_bit(REASON_MOUNTED_FILESYSTEM));
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, DRIVE), ==, "vfio-pci");
        world_done(&w);
}

/* The file names the accelerator; the network card beside it goes along, and carries a route. */
static void test_each_member_of_the_group_counts(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, ACCELERATOR, TARGET_VFIO);
        use(&w, NIC, REASON_NETWORK_ROUTE, "the default route goes through ens1");
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, ACCELERATOR).reason, ==, REASON_NETWORK_ROUTE);
        g_assert_cmpstr(world_status(&w, ACCELERATOR).detail, ==,
                        NIC ": the default route goes through ens1");
        w.config->rules[0]->accept = hazard_bit(REASON_NETWORK_ROUTE);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, NIC), ==, "vfio-pci");
        world_done(&w);
}

/* An interface that is only up says nothing of a whole card. */
static void test_what_counts_for_vfs_only_does_not_keep_a_card(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, NIC, TARGET_VFIO);
        use(&w, NIC, REASON_VFS_IN_USE, "its network interface ens1 is up");
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), >, 0);
        world_done(&w);
}

static void test_what_a_program_has_open_is_not_given_back(void)
{
        Request release = { .vendor = 0x1b36, .device = 0x0010, .release = true };
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, DRIVE, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        use(&w, DRIVE, REASON_DEVICE_IN_USE, "qemu (1234) has /dev/vfio/15 open");
        g_assert_cmpint(pci_address_parse(DRIVE, &release.address), ==, 0);
        g_assert_cmpint(request_table_put(&w.requests, &release), ==, 0);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(w.plan->units[0].refusals[0].reason, ==, REASON_DEVICE_IN_USE);
        g_assert_cmpint(world_status(&w, DRIVE).state, ==, STATE_BLOCKED);
        g_assert_cmpint(world_status(&w, DRIVE).reason, ==, REASON_DEVICE_IN_USE);
        release.accept = hazard_bit(REASON_DEVICE_IN_USE);
        g_assert_cmpint(request_table_put(&w.requests, &release), ==, 0);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, DRIVE), ==, "nvme");
        world_done(&w);
}

/* Nobody is asked about devices that stay where they are. */
static void test_only_what_would_be_taken_is_asked_for(void)
{
        UseTable uses = { 0 };
        PciAddress a;
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, ACCELERATOR, TARGET_VFIO);
        world_plan(&w);
        g_assert_cmpint(plan_ask_uses(w.inv, w.desired, w.choices, &w.origins, &uses), ==, 0);
        g_assert_cmpuint(uses.n_asked, ==, 1);
        g_assert_cmpint(pci_address_parse(NIC, &a), ==, 0);
        g_assert_true(use_table_asks(&uses, &a));
        g_assert_cmpuint(w.plan->units[0].n_checks, ==, 1);
        use_table_done(&uses);
        world_done(&w);
}

/* As after a boot with one more card behind the bridge: the others are on their host drivers. */
static void grow_group(World *w)
{
        for (size_t i = 0; i < w->origins.n_origins; i++)
                w->origins.origins[i].taken = false;
        for (size_t i = 0; i < w->host.n; i++) {
                HostDevice *d = &w->host.devices[i];

                d->override[0] = 0;
                g_strlcpy(d->driver, d->native ? d->native : "", sizeof(d->driver));
        }
        host_add(&w->host, "0000:05:04.0", "1000:0012", 0x010000, 13, "sym53c8xx");
}

static void test_a_group_that_has_grown_is_looked_at_first(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, ACCELERATOR, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        grow_group(&w);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, ACCELERATOR).reason, ==, REASON_GROUP_CHANGED);
        w.config->rules[0]->accept = hazard_bit(REASON_GROUP_CHANGED);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, "05:04.0"), ==, "vfio-pci");
        /* From then on it is one of them. */
        w.config->rules[0]->accept = 0;
        grow_group(&w);
        w.host.n--;
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), >, 0);
        world_done(&w);
}

static void test_who_is_named_is_approved(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, ACCELERATOR, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        grow_group(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:05:04.0", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, "05:04.0"), ==, "vfio-pci");
        world_done(&w);
}

/* Buses are numbered anew when a card is added elsewhere: the members are the same. */
static void test_members_are_known_by_what_they_are(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ID, "1234:11e8", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        grow_group(&w);
        w.host.n--;
        for (size_t i = 0; i < w.host.n; i++)
                w.host.devices[i].address.bus += w.host.devices[i].address.bus == 5 ? 4 : 0;
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, "09:01.0"), ==, "vfio-pci");
        world_done(&w);
}

/* Only the file changed: the card that it names lost its driver before, and nothing moved along. */
static void test_a_group_that_was_not_moved_has_not_grown(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, NIC, TARGET_NONE);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, NIC), ==, "");
        w.config->rules[0]->target = TARGET_VFIO;
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, NIC), ==, "vfio-pci");
        g_assert_cmpstr(world_driver(&w, ACCELERATOR), ==, "vfio-pci");
        world_done(&w);
}

/* As long as a file's cards are not all there, nothing moves; what it approved stays approved. */
static void test_approval_waits_for_the_cards_of_a_file(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, ACCELERATOR, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL);
        grow_group(&w);
        w.host.n--;
        w.config->rules[0]->match.expect = 2;
        world_plan(&w);
        g_assert_cmpint(world_status(&w, ACCELERATOR).reason, ==, REASON_EXPECT_MISMATCH);
        origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL);
        w.config->rules[0]->match.expect = 1;
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, NIC), ==, "vfio-pci");
        world_done(&w);
}

/* One boot without the file, by vfiod.skip= on the kernel command line, and then one with it. */
static void test_approval_outlasts_a_boot_without_the_file(void)
{
        _cleanup_(config_freep) Config *skipping = config_new();
        Config *whole;
        Host before;
        World w;

        world_init(&w);
        before = w.host;
        world_rule(&w, MATCH_ADDRESS, ACCELERATOR, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL);
        for (size_t i = 0; i < w.host.n; i++) {
                Origin *o = origin_table_find(&w.origins, &w.host.devices[i].address);

                if (o)
                        o->taken = false;
        }
        w.host = before;
        whole = w.config;
        w.config = skipping;
        g_assert_cmpint(strv_extend(&skipping->skipped, whole->rules[0]->name), ==, 0);
        world_plan(&w);
        g_assert_false(origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL));
        w.config = whole;
        grow_group(&w);
        world_plan(&w);
        g_assert_cmpint(world_status(&w, ACCELERATOR).reason, ==, REASON_GROUP_CHANGED);
        world_done(&w);
}

/* A file that was there once approves nothing after it has gone. */
static void test_approval_ends_with_the_file(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, ACCELERATOR, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        grow_group(&w);
        config_free(w.config);
        w.config = config_new();
        world_plan(&w);
        g_assert_true(origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL));
        g_assert_cmpuint(w.origins.n_origins, ==, 0);
        world_done(&w);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/hazard/" #name, test_##name)
        TEST(a_disk_in_use_is_not_taken);
        TEST(accepting_is_by_name);
        TEST(each_member_of_the_group_counts);
        TEST(what_counts_for_vfs_only_does_not_keep_a_card);
        TEST(what_a_program_has_open_is_not_given_back);
        TEST(only_what_would_be_taken_is_asked_for);
        TEST(a_group_that_has_grown_is_looked_at_first);
        TEST(who_is_named_is_approved);
        TEST(members_are_known_by_what_they_are);
        TEST(a_group_that_was_not_moved_has_not_grown);
        TEST(approval_waits_for_the_cards_of_a_file);
        TEST(approval_outlasts_a_boot_without_the_file);
        TEST(approval_ends_with_the_file);
        return g_test_run();
}
