/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The planner: examples that an operator would recognise, and laws over random hosts. */

#include "host-model.h"

#include "model/match.h"
#include "model/status.h"

#include <stdio.h>

static void test_one_member_moves_its_whole_group(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:05:02.0", TARGET_VFIO);
        world_plan(&w);
        g_assert_cmpuint(w.plan->n_units, ==, 1);
        g_assert_cmpuint(w.plan->units[0].n_steps, ==, 3 + 1 + 3);
        world_run(&w);
        world_plan(&w);
        g_assert_cmpuint(w.plan->n_units, ==, 0);
        g_assert_cmpstr(world_driver(&w, "05:01.0"), ==, "vfio-pci");
        g_assert_cmpstr(world_driver(&w, "05:03.0"), ==, "vfio-pci");
        g_assert_cmpstr(world_driver(&w, "04:00.0"), ==, "");
        g_assert_cmpint(world_status(&w, "05:01.0").state, ==, STATE_READY);
        g_assert_cmpint(world_status(&w, "04:00.0").state, ==, STATE_UNMANAGED);
        world_done(&w);
}

static void test_unbinds_come_before_binds(void)
{
        bool bound = false;
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.0", TARGET_VFIO);
        world_plan(&w);
        for (size_t i = 0; i < w.plan->units[0].n_steps; i++) {
                StepKind kind = w.plan->units[0].steps[i].kind;

                g_assert_false(kind == STEP_UNBIND && bound);
                bound = bound || kind == STEP_BIND;
        }
        g_assert_true(bound);
        world_done(&w);
}

static void test_removed_file_gives_back_what_was_there(void)
{
        World w;
        Host before;

        world_init(&w);
        before = w.host;
        world_rule(&w, MATCH_ADDRESS, "0000:05:02.0", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        config_free(w.config);
        w.config = config_new();
        world_plan(&w);
        g_assert_true(w.plan->units[0].restore);
        world_run(&w);
        g_assert_true(host_equal(&w.host, &before));
        world_plan(&w);
        g_assert_cmpuint(w.plan->n_units, ==, 0);
        g_assert_cmpint(world_status(&w, "05:01.0").state, ==, STATE_UNMANAGED);
        world_done(&w);
}

static void test_a_node_to_be_set_right_gives_nothing_back(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", TARGET_VFIO);
        w.config->rules[0]->access = (Access){ .has_mode = true, .mode = 0660 };
        world_plan(&w);
        world_run(&w);
        world_plan(&w);
        w.inv->devices[inventory_index(w.inv, &w.host.devices[7].address)]->has_node = true;
        plan_free(w.plan);
        g_assert_cmpint(plan_compute(w.inv, w.desired, w.choices, &w.origins, &w.uses, &w.plan), ==,
                        0);
        g_assert_cmpuint(w.plan->units[0].n_steps, ==, 1);
        g_assert_cmpint(w.plan->units[0].steps[0].kind, ==, STEP_NODE_ACCESS);
        g_assert_cmpuint(w.plan->units[0].n_back, ==, 0);
        g_assert_false(w.plan->units[0].restore);
        world_done(&w);
}

static void test_what_others_bound_is_not_given_back(void)
{
        World w;

        world_init(&w);
        g_strlcpy(host_find(&w.host, &w.host.devices[7].address)->driver, "vfio-pci", 32);
        world_plan(&w);
        g_assert_cmpuint(w.plan->n_units, ==, 0);
        world_done(&w);
}

static void test_strict_refuses_foreign_members(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.0", TARGET_VFIO);
        w.config->rules[0]->group_policy = GROUP_STRICT;
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "06:00.0").reason, ==, REASON_GROUP_FOREIGN_MEMBER);
        w.config->rules[0]->accept = hazard_bit(REASON_GROUP_FOREIGN_MEMBER);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), >, 0);
        world_done(&w);
}

static void test_another_card_is_not_touched(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", TARGET_VFIO);
        g_assert_cmpint(strv_extend(&w.config->rules[0]->match.patterns[MATCH_ID], "10de:2684"), ==,
                        0);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "07:00.0").state, ==, STATE_BLOCKED);
        g_assert_cmpint(world_status(&w, "07:00.0").reason, ==, REASON_ID_MISMATCH);
        world_done(&w);
}

static void test_expect_counts(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ID, "8086:10d3", TARGET_VFIO);
        w.config->rules[0]->match.expect = 1;
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "06:00.1").reason, ==, REASON_EXPECT_MISMATCH);
        w.config->rules[0]->match.expect = 2;
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), >, 0);
        world_done(&w);
}

static void test_without_iommu_nothing_is_taken(void)
{
        World w;

        world_init(&w);
        w.host.iommu = false;
        for (size_t i = 0; i < w.host.n; i++)
                w.host.devices[i].group = -1;
        world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", TARGET_VFIO);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "07:00.0").reason, ==, REASON_IOMMU_OFF);
        world_done(&w);
}

static void test_bridges_are_never_taken(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:0[04]:00.0", TARGET_VFIO);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "00:00.0").reason, ==, REASON_BRIDGE);
        g_assert_cmpint(world_status(&w, "04:00.0").reason, ==, REASON_BRIDGE);
        for (size_t i = 0; i < w.plan->n_units; i++)
                g_assert_cmpuint(w.plan->units[i].n_refusals, ==, 1);
        world_done(&w);
}

static void test_what_was_taken_from_a_card_that_is_gone_is_forgotten(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        w.origins.origins[0].rule = strdup("00-rule.conf");
        w.host.n--;
        world_plan(&w);
        g_assert_false(origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL));
        config_free(w.config);
        w.config = config_new();
        g_assert_true(origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL));
        g_assert_cmpuint(w.origins.n_origins, ==, 0);
        world_done(&w);
}

static void test_a_member_of_a_group_on_vfio_does_not_go_to_the_host(void)
{
        HostDevice *d;
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.0", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.1", TARGET_HOST);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "06:00.0").reason, ==, REASON_GROUP_NOT_VIABLE);
        /* Nor is it well if it is there already, as after it was plugged in. */
        d = host_find(&w.host, &(PciAddress){ .bus = 6, .function = 1 });
        snprintf(d->driver, sizeof(d->driver), "e1000e");
        world_plan(&w);
        g_assert_cmpint(world_status(&w, "06:00.0").reason, ==, REASON_GROUP_NOT_VIABLE);
        world_done(&w);
}

static void test_host_driver_in_a_vfio_group_is_refused(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.0", TARGET_VFIO);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.1", TARGET_HOST);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "06:00.0").reason, ==, REASON_GROUP_NOT_VIABLE);
        world_done(&w);
}

/* Whatever is to be done with it. */
static void test_boot_display_needs_acceptance(void)
{
        static const TargetKind kinds[] = { TARGET_VFIO, TARGET_NONE, TARGET_DRIVER };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                World w;

                world_init(&w);
                world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", kinds[i]);
                if (kinds[i] == TARGET_DRIVER)
                        w.config->rules[0]->driver = strdup("pci-stub");
                world_plan(&w);
                w.inv->devices[inventory_index(w.inv, &w.host.devices[7].address)]->boot_vga = true;
                plan_free(w.plan);
                g_assert_cmpint(
                        plan_compute(w.inv, w.desired, w.choices, &w.origins, &w.uses, &w.plan), ==,
                        0);
                g_assert_cmpuint(w.plan->units[0].n_refusals, ==, 1);
                g_assert_cmpint(w.plan->units[0].refusals[0].reason, ==, REASON_BOOT_DISPLAY);
                world_done(&w);
        }
}

static void test_none_takes_the_driver_away(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", TARGET_NONE);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, "07:00.0"), ==, "");
        world_plan(&w);
        g_assert_cmpint(world_status(&w, "07:00.0").state, ==, STATE_READY);
        world_done(&w);
}

static void test_broken_file_leaves_its_devices(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        w.origins.origins[0].rule = strdup("00-rule.conf");
        config_free(w.config);
        w.config = config_new();
        g_assert_cmpint(strv_extend(&w.config->broken, "00-rule.conf"), ==, 0);
        world_plan(&w);
        g_assert_cmpuint(w.plan->n_units, ==, 0);
        g_assert_cmpstr(world_driver(&w, "07:00.0"), ==, "vfio-pci");
        world_done(&w);
}

/* Nor does a file that would come after it get them meanwhile; one that comes before it does. */
static void test_other_files_do_not_get_the_devices_of_a_broken_one(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:07:00.0", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(w.config->rules[0]->name, ==, "00-rule.conf");
        free(w.origins.origins[0].rule);
        w.origins.origins[0].rule = strdup("00-a.conf");
        config_free(w.config);
        w.config = config_new();
        g_assert_cmpint(strv_extend(&w.config->broken, "00-a.conf"), ==, 0);
        world_rule(&w, MATCH_ADDRESS, "*", TARGET_HOST);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        free(w.origins.origins[0].rule);
        w.origins.origins[0].rule = strdup("10-later.conf");
        free(TAKE_PTR(w.config->broken[0]));
        w.config->broken[0] = strdup("10-later.conf");
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), >, 0);
        world_done(&w);
}

/* The file that moved it alone ended, and the one that moved the other member is in error. */
static void test_a_member_of_a_group_that_is_held_stays(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.0", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        g_assert_cmpuint(w.origins.n_origins, ==, 2);
        for (size_t i = 0; i < 2; i++) {
                free(w.origins.origins[i].rule);
                w.origins.origins[i].rule = strdup(i == 0 ? "00-rule.conf" : "10-ended.conf");
        }
        config_free(w.config);
        w.config = config_new();
        g_assert_cmpint(strv_extend(&w.config->broken, "00-rule.conf"), ==, 0);
        world_plan(&w);
        g_assert_cmpuint(w.plan->n_units, ==, 0);
        /* Nor does another file spoil the group. */
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.1", TARGET_HOST);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "06:00.1").reason, ==, REASON_GROUP_NOT_VIABLE);
        /* It goes with the other one. */
        config_free(w.config);
        w.config = config_new();
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, "06:00.0"), !=, "vfio-pci");
        g_assert_cmpstr(world_driver(&w, "06:00.1"), !=, "vfio-pci");
        world_done(&w);
}

static void test_request_goes_before_files_and_knows_its_card(void)
{
        Request r = { .target = TARGET_VFIO, .vendor = 0x8086, .device = 0x10d3 };
        World w;

        world_init(&w);
        g_assert_cmpint(pci_address_parse("06:00.0", &r.address), ==, 0);
        g_assert_cmpint(request_table_put(&w.requests, &r), ==, 0);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), >, 0);
        host_find(&w.host, &r.address)->device = 0x1533;
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        world_done(&w);
}

/* So what did not change is not told again, and what did is. */
static void test_targets_are_equal_that_say_the_same(void)
{
        Request r = { .target = TARGET_DRIVER, .vendor = 0x8086, .device = 0x10d3 };
        _cleanup_(desired_freep) Desired *before = NULL;
        ssize_t i;
        World w;

        world_init(&w);
        r.driver = (char *)"vfio-pci";
        g_assert_cmpint(pci_address_parse("06:00.0", &r.address), ==, 0);
        g_assert_cmpint(request_table_put(&w.requests, &r), ==, 0);
        world_plan(&w);
        i = inventory_index(w.inv, &r.address);
        before = TAKE_PTR(w.desired);
        world_plan(&w);
        g_assert_true(target_equal(&before->targets[i], &w.desired->targets[i]));
        r.driver = (char *)"igb";
        g_assert_cmpint(request_table_put(&w.requests, &r), ==, 0);
        world_plan(&w);
        g_assert_false(target_equal(&before->targets[i], &w.desired->targets[i]));
        world_done(&w);
}

/* A host of random groups, drivers and leftovers; files that match some of it. */
static void random_world(World *w, GRand *rand)
{
        static const char *const natives[] = { NULL, "e1000", "nvme", "igb" };
        int n = g_rand_int_range(rand, 1, 24);

        *w = (World){ .config = config_new() };
        w->host.iommu = g_rand_int_range(rand, 0, 8) > 0;
        for (int i = 0; i < n; i++) {
                char *address = g_strdup_printf("0000:%02x:%02x.%x", i / 6, i % 6, 0);
                uint32_t class = g_rand_int_range(rand, 0, 6) == 0 ? 0x060400 : 0x020000;
                HostDevice *d;

                d = host_add(&w->host, address, g_rand_boolean(rand) ? "8086:0001" : "1234:0002",
                             class, g_rand_int_range(rand, -1, 6),
                             class == 0x060400 ? NULL : natives[g_rand_int_range(rand, 0, 4)]);
                if (g_rand_int_range(rand, 0, 4) == 0)
                        d->driver[0] = 0;
                if (g_rand_int_range(rand, 0, 6) == 0)
                        g_strlcpy(d->override, "vfio-pci", sizeof(d->override));
                g_free(address);
        }
        for (int i = g_rand_int_range(rand, 0, 5); i > 0; i--) {
                char *pattern = g_strdup_printf("0000:%02x:%02x.*", g_rand_int_range(rand, 0, 4),
                                                g_rand_int_range(rand, 0, 6));
                static const TargetKind kinds[] = { TARGET_VFIO, TARGET_VFIO, TARGET_NONE,
                                                    TARGET_HOST };

                world_rule(w, MATCH_ADDRESS, pattern, kinds[g_rand_int_range(rand, 0, 4)]);
                w->config->rules[w->config->n_rules - 1]->group_policy =
                        g_rand_boolean(rand) ? GROUP_STRICT : GROUP_WHOLE;
                g_free(pattern);
        }
}

static void law_refused_units_have_no_steps(const World *w)
{
        for (size_t i = 0; i < w->plan->n_units; i++)
                g_assert_true(w->plan->units[i].n_refusals == 0 || w->plan->units[i].n_steps == 0);
}

static void law_steps_touch_only_what_is_named(const World *w)
{
        for (size_t i = 0; i < w->plan->n_units; i++)
                for (size_t k = 0; k < w->plan->units[i].n_steps; k++) {
                        const PciAddress *a = &w->plan->units[i].steps[k].address;
                        const Target *t = &w->desired->targets[inventory_index(w->inv, a)];
                        const Origin *o = origin_table_find(&w->origins, a);

                        g_assert_true(t->matched || t->implied || (o && o->taken));
                        g_assert_false(device_is_bridge(inventory_find(w->inv, a)));
                }
}

static void law_size_is_linear(const World *w)
{
        g_assert_cmpuint(plan_count_steps(w->plan), <=, 6 * w->inv->n_devices);
}

static void law_every_prefix_rolls_back(World *w)
{
        for (size_t i = 0; i < w->plan->n_units; i++) {
                const Unit *u = &w->plan->units[i];

                for (size_t n = 0; n <= u->n_steps && !u->restore; n++) {
                        bool *done = g_new0(bool, u->n_steps + 1);
                        OriginTable before = { 0 };
                        Host host = w->host;
                        Unit undo;

                        host_record(&host, u, &before);
                        for (size_t k = 0; k < n; k++) {
                                g_assert_cmpint(host_step(&host, &u->steps[k]), ==, 0);
                                done[k] = true;
                        }
                        g_assert_cmpint(plan_undo(u, done, &before, &undo), ==, 0);
                        for (size_t k = 0; k < undo.n_steps; k++)
                                g_assert_cmpint(host_step(&host, &undo.steps[k]), ==, 0);
                        g_assert_true(host_equal(&host, &w->host));
                        unit_done(&undo);
                        origin_table_done(&before);
                        g_free(done);
                }
        }
}

static void law_applied_plan_leaves_nothing_to_do(World *w)
{
        world_run(w);
        world_plan(w);
        g_assert_cmpuint(plan_count_steps(w->plan), ==, 0);
}

static bool has_host_rule(const World *w)
{
        for (size_t i = 0; i < w->config->n_rules; i++)
                if (w->config->rules[i]->target == TARGET_HOST)
                        return true;
        return false;
}

static const Unit *find_unit(const Plan *p, const PciAddress *address)
{
        for (size_t i = 0; p && i < p->n_units; i++)
                for (size_t k = 0; k < p->units[i].n_members; k++)
                        if (pci_address_equal(&p->units[i].members[k], address))
                                return &p->units[i];
        return NULL;
}

static void law_units_are_independent(World *w)
{
        for (size_t i = 0; i < w->plan->n_units; i++) {
                World other = *w;
                const Unit *u = &w->plan->units[i], *found;

                other.inv = NULL;
                other.desired = NULL;
                other.choices = NULL;
                other.plan = NULL;
                other.status = NULL;
                other.host.n = 0;
                for (size_t k = 0; k < w->host.n; k++)
                        if (w->host.devices[k].group == u->group)
                                other.host.devices[other.host.n++] = w->host.devices[k];
                world_plan(&other);
                found = find_unit(other.plan, &u->members[0]);
                g_assert_nonnull(found);
                g_assert_cmpuint(found->n_steps, ==, u->n_steps);
                g_assert_cmpuint(found->n_refusals, ==, u->n_refusals);
                world_forget(&other);
        }
}

static char *plan_text(const Plan *p)
{
        GString *text = g_string_new(NULL);

        for (size_t i = 0; i < p->n_units; i++) {
                for (size_t k = 0; k < p->units[i].n_steps; k++) {
                        char *step = step_describe(&p->units[i].steps[k]);

                        g_string_append_printf(text, "%s\n", step);
                        free(step);
                }
                for (size_t k = 0; k < p->units[i].n_refusals; k++)
                        g_string_append_printf(text, "%s\n",
                                               reason_to_string(p->units[i].refusals[k].reason));
        }
        return g_string_free(text, FALSE);
}

static void law_order_of_inputs_does_not_matter(World *w, GRand *rand)
{
        char *before = plan_text(w->plan), *after;

        for (size_t i = w->host.n; i > 1; i--) {
                size_t k = (size_t)g_rand_int_range(rand, 0, (gint32)i);
                HostDevice d = w->host.devices[i - 1];

                w->host.devices[i - 1] = w->host.devices[k];
                w->host.devices[k] = d;
        }
        world_plan(w);
        after = plan_text(w->plan);
        g_assert_cmpstr(before, ==, after);
        g_free(before);
        g_free(after);
}

static void test_laws_over_random_hosts(void)
{
        guint32 seed = g_test_rand_int();
        GRand *rand = g_rand_new_with_seed(seed);

        g_test_message("seed %u", seed);
        for (int i = 0; i < 2000; i++) {
                World w;
                Host start;
                bool exact;

                random_world(&w, rand);
                exact = !has_host_rule(&w);
                world_plan(&w);
                law_order_of_inputs_does_not_matter(&w, rand);
                start = w.host;
                law_refused_units_have_no_steps(&w);
                law_steps_touch_only_what_is_named(&w);
                law_size_is_linear(&w);
                law_units_are_independent(&w);
                law_every_prefix_rolls_back(&w);
                law_applied_plan_leaves_nothing_to_do(&w);
                config_free(w.config);
                w.config = config_new();
                world_plan(&w);
                law_steps_touch_only_what_is_named(&w);
                law_applied_plan_leaves_nothing_to_do(&w);
                g_assert_true(!exact || host_equal(&w.host, &start));
                world_done(&w);
        }
        g_rand_free(rand);
}

static void test_back_off_doubles_and_ends(void)
{
        Track t = { 0 };

        track_failed(&t, REASON_DRIVER_REJECTED, NULL, 0, 10 * USEC_PER_SEC);
        g_assert_cmpuint(t.retry_usec, ==, USEC_PER_SEC);
        track_failed(&t, REASON_DRIVER_REJECTED, NULL, 0, 10 * USEC_PER_SEC);
        g_assert_cmpuint(t.retry_usec, ==, 2 * USEC_PER_SEC);
        for (int i = 0; i < 80; i++)
                track_failed(&t, REASON_DRIVER_REJECTED, NULL, 0, 10 * USEC_PER_SEC);
        g_assert_cmpuint(t.retry_usec, ==, 10 * USEC_PER_SEC);
        track_succeeded(&t);
        g_assert_cmpuint(t.retry_usec, ==, 0);
        track_done(&t);
}

static void test_repeated_drift_is_contended(void)
{
        Track t = { 0 };

        for (unsigned i = 1; i <= 4; i++) {
                track_observe(&t, true, i * USEC_PER_SEC, 10 * USEC_PER_SEC);
                track_observe(&t, false, i * USEC_PER_SEC, 10 * USEC_PER_SEC);
                g_assert_false(t.contended);
        }
        track_observe(&t, true, 300 * USEC_PER_SEC, 10 * USEC_PER_SEC);
        track_observe(&t, false, 300 * USEC_PER_SEC, 10 * USEC_PER_SEC);
        g_assert_false(t.contended);
        for (unsigned i = 1; i <= 4; i++) {
                track_observe(&t, true, (300 + i) * USEC_PER_SEC, 10 * USEC_PER_SEC);
                track_observe(&t, false, (300 + i) * USEC_PER_SEC, 10 * USEC_PER_SEC);
        }
        g_assert_true(t.contended);
        track_reset(&t);
        g_assert_false(t.contended);
        track_done(&t);
}

static void test_an_attempt_without_effect_is_a_failure(void)
{
        Track t = { .attempted = true };

        track_observe(&t, false, USEC_PER_SEC, 10 * USEC_PER_SEC);
        g_assert_cmpint(t.failure, ==, REASON_DRIVER_REJECTED);
        g_assert_cmpuint(t.retry_usec, ==, 2 * USEC_PER_SEC);
        g_assert_cmpuint(t.n_drifts, ==, 0);
        t.attempted = true;
        track_observe(&t, true, 3 * USEC_PER_SEC, 10 * USEC_PER_SEC);
        g_assert_cmpint(t.failure, ==, REASON_NONE);
        track_done(&t);
}

static const Track *find_stuck(void *userdata, const PciAddress *a)
{
        const Track *t = userdata;

        return pci_address_equal(&t->address, a) ? t : NULL;
}

static void test_a_stuck_member_holds_up_its_group(void)
{
        Track t = { .stuck = true };
        World w;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.0", TARGET_VFIO);
        world_plan(&w);
        t.address = w.host.devices[5].address;
        status_table_free(w.status);
        g_assert_cmpint(status_compute(w.inv, w.desired, w.plan, false, find_stuck, &t, &w.status),
                        ==, 0);
        g_assert_cmpint(world_status(&w, "06:00.0").state, ==, STATE_STUCK);
        g_assert_cmpint(world_status(&w, "06:00.1").state, ==, STATE_STUCK);
        g_assert_nonnull(strstr(world_status(&w, "06:00.1").detail, "0000:06:00.0"));
        t.stuck = false;
        t.working = true;
        t.failure = REASON_DRIVER_REJECTED;
        status_table_free(w.status);
        g_assert_cmpint(status_compute(w.inv, w.desired, w.plan, false, find_stuck, &t, &w.status),
                        ==, 0);
        g_assert_cmpint(world_status(&w, "06:00.0").state, ==, STATE_WORKING);
        g_assert_nonnull(strstr(world_status(&w, "06:00.0").detail, "tried again"));
        world_done(&w);
}

static void test_companions_of_an_unplugged_card_wait_for_it(void)
{
        World w;
        HostDevice gone;

        world_init(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:06:00.1", TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        for (size_t i = 0; i < w.origins.n_origins; i++) {
                w.origins.origins[i].rule = strdup("00-rule.conf");
                w.origins.origins[i].implied = i == 0;
        }
        gone = w.host.devices[6];
        w.host.devices[6] = w.host.devices[7];
        w.host.n--;
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpstr(world_driver(&w, "06:00.0"), ==, "vfio-pci");
        gone.driver[0] = gone.override[0] = 0;
        w.host.devices[w.host.n++] = gone;
        world_plan(&w);
        world_run(&w);
        g_assert_cmpstr(world_driver(&w, "06:00.1"), ==, "vfio-pci");
        config_free(w.config);
        w.config = config_new();
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), >, 0);
        world_done(&w);
}

static void test_a_serial_number_once_read_is_remembered(void)
{
        World w;

        world_init(&w);
        world_rule(&w, MATCH_SERIAL_NUMBER, "00-00-00-00-00-00-00-07", TARGET_VFIO);
        world_plan(&w);
        w.inv->devices[7]->serial = 7;
        w.inv->devices[7]->has_serial = true;
        g_assert_cmpint(match_device(&w.config->rules[0]->match, w.inv->devices[7], NULL), ==,
                        MATCH_YES);
        {
                Origin o = { .identity = { .has_serial = true, .serial = 7 } };

                w.inv->devices[7]->has_serial = false;
                g_assert_cmpint(match_device(&w.config->rules[0]->match, w.inv->devices[7], &o), ==,
                                MATCH_YES);
        }
        world_done(&w);
}

static void test_an_earlier_boot_knows_the_former_driver(void)
{
        Origin known = { .driver = (char *)"nvme" };
        Device d = { .driver = NULL };

        g_assert_null(origin_former_driver(NULL, &d));
        g_assert_cmpstr(origin_former_driver(&known, &d), ==, "nvme");
        d.driver = (char *)"other";
        g_assert_cmpstr(origin_former_driver(&known, &d), ==, "other");
        known.taken = true;
        g_assert_cmpstr(origin_former_driver(&known, &d), ==, "nvme");
}

static void test_addresses(void)
{
        static const char *const bad[] = { "",         "0",       "00:00",       "00:00.8",
                                           "0:00.0",   "00:20.0", "00000:00.0",  "000:00:00.0",
                                           "00:00.0 ", "zz:00.0", "0000:00:00.", "0000:00:00.00" };
        PciAddress a, b;

        g_assert_cmpint(pci_address_parse("41:00.0", &a), ==, 0);
        g_assert_cmpint(pci_address_parse("0000:41:00.0", &b), ==, 0);
        g_assert_true(pci_address_equal(&a, &b));
        g_assert_cmpint(pci_address_parse("10000:E1:1F.7", &a), ==, 0);
        g_assert_cmpstr(PCI_ADDRESS_STR(&a), ==, "10000:e1:1f.7");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                g_assert_cmpint(pci_address_parse(bad[i], &a), ==, -EINVAL);
}

static void test_tables_go_both_ways(void)
{
        for (int i = REASON_NONE + 1; i < _REASON_MAX; i++) {
                g_assert_cmpint(reason_from_string(reason_to_string((Reason)i)), ==, i);
                g_assert_true(reason_row((Reason)i)->sentence[0] &&
                              reason_row((Reason)i)->remedy[0]);
        }
        for (int i = 0; i < _DEVICE_STATE_MAX; i++)
                g_assert_nonnull(device_state_to_string((DeviceState)i));
        for (int i = 0; i < _STEP_KIND_MAX; i++)
                g_assert_nonnull(step_kind_to_string((StepKind)i));
        for (int i = 0; i < _MATCH_KEY_MAX; i++)
                g_assert_cmpint(match_key_from_string(match_key_to_string((MatchKey)i)), ==, i);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/plan/" #name, test_##name)
        TEST(one_member_moves_its_whole_group);
        TEST(unbinds_come_before_binds);
        TEST(removed_file_gives_back_what_was_there);
        TEST(a_node_to_be_set_right_gives_nothing_back);
        TEST(what_others_bound_is_not_given_back);
        TEST(strict_refuses_foreign_members);
        TEST(another_card_is_not_touched);
        TEST(expect_counts);
        TEST(without_iommu_nothing_is_taken);
        TEST(bridges_are_never_taken);
        TEST(what_was_taken_from_a_card_that_is_gone_is_forgotten);
        TEST(host_driver_in_a_vfio_group_is_refused);
        TEST(a_member_of_a_group_on_vfio_does_not_go_to_the_host);
        TEST(boot_display_needs_acceptance);
        TEST(none_takes_the_driver_away);
        TEST(broken_file_leaves_its_devices);
        TEST(other_files_do_not_get_the_devices_of_a_broken_one);
        TEST(a_member_of_a_group_that_is_held_stays);
        TEST(request_goes_before_files_and_knows_its_card);
        TEST(targets_are_equal_that_say_the_same);
        TEST(laws_over_random_hosts);
        TEST(back_off_doubles_and_ends);
        TEST(repeated_drift_is_contended);
        TEST(an_attempt_without_effect_is_a_failure);
        TEST(a_stuck_member_holds_up_its_group);
        TEST(companions_of_an_unplugged_card_wait_for_it);
        TEST(a_serial_number_once_read_is_remembered);
        TEST(an_earlier_boot_knows_the_former_driver);
        TEST(addresses);
        TEST(tables_go_both_ways);
        return g_test_run();
}
