/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* PFs and their VFs: what an operator sees, and that every way leads to what was declared. */

#include "host-model.h"

enum { LOOKS_MAX = 8 };

/* A NIC that removes its VFs with its driver, and a drive that leaves them behind. */
static void sriov_init(World *w)
{
        *w = (World){ .config = config_new() };
        w->host.iommu = true;
        host_add_sriov(host_add(&w->host, "0000:01:00.0", "8086:10c9", 0x020000, 1, "igb"), 7,
                       "igbvf", false);
        host_add_sriov(host_add(&w->host, "0000:02:00.0", "1b36:0010", 0x010802, 2, "nvme"), 16,
                       "nvme", true);
}

static Rule *declare(World *w, const char *pf, unsigned num_vfs)
{
        Rule *r;

        world_rule(w, MATCH_ADDRESS, pf, TARGET_UNMANAGED);
        r = w->config->rules[w->config->n_rules - 1];
        r->has_sriov = true;
        r->num_vfs = num_vfs;
        return r;
}

static VfSection *add_section(Rule *r, unsigned first, unsigned last, TargetKind target)
{
        VfSection *s;

        r->vfs = g_realloc(r->vfs, (r->n_vfs + 1) * sizeof(VfSection));
        s = &r->vfs[r->n_vfs++];
        *s = (VfSection){ .target = target, .ranges = g_new(VfRange, 1), .n_ranges = 1 };
        s->ranges[0] = (VfRange){ first, last };
        return s;
}

static void forget_files(World *w)
{
        config_free(w->config);
        w->config = config_new();
}

/* As the daemon does: look, run what differs, look again. */
static void settle(World *w)
{
        for (unsigned i = 0; i < LOOKS_MAX; i++) {
                world_plan(w);
                if (plan_count_steps(w->plan) == 0)
                        return;
                world_run(w);
        }
        g_assert_not_reached();
}

static HostDevice *find_vf(World *w, const char *pf, int index)
{
        PciAddress a;

        g_assert_cmpint(pci_address_parse(pf, &a), ==, 0);
        for (size_t i = 0; i < w->host.n; i++)
                if (w->host.devices[i].is_vf && w->host.devices[i].vf_index == index &&
                    pci_address_equal(&w->host.devices[i].pf, &a))
                        return &w->host.devices[i];
        return NULL;
}

static HostDevice *find(World *w, const char *address)
{
        PciAddress a;

        g_assert_cmpint(pci_address_parse(address, &a), ==, 0);
        return host_find(&w->host, &a);
}

static void use_vf(World *w, const HostDevice *vf, const char *by)
{
        g_assert_cmpint(use_table_add(&w->uses, &vf->address, REASON_DEVICE_IN_USE, "%s", by), ==,
                        0);
}

static void test_vfs_are_made_and_no_host_driver_sees_them(void)
{
        World w;
        Rule *r;

        sriov_init(&w);
        r = declare(&w, "0000:01:00.0", VF_COUNT_MAX);
        add_section(r, 0, 6, TARGET_VFIO);
        settle(&w);
        g_assert_cmpuint(find(&w, "01:00.0")->num_vfs, ==, 7);
        for (int i = 0; i < 7; i++) {
                g_assert_cmpstr(find_vf(&w, "01:00.0", i)->driver, ==, "vfio-pci");
                g_assert_false(find_vf(&w, "01:00.0", i)->host_saw_it);
        }
        g_assert_true(find(&w, "01:00.0")->autoprobe);
        g_assert_cmpint(world_status(&w, "01:00.0").state, ==, STATE_READY);
        g_assert_cmpuint(find(&w, "02:00.0")->num_vfs, ==, 0);
        world_done(&w);
}

static void test_vfs_without_a_driver_are_left_to_the_kernel(void)
{
        World w;
        Rule *r;

        sriov_init(&w);
        r = declare(&w, "0000:01:00.0", 4);
        add_section(r, 1, 2, TARGET_VFIO);
        settle(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 0)->driver, ==, "igbvf");
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "vfio-pci");
        g_assert_cmpstr(find_vf(&w, "01:00.0", 3)->driver, ==, "igbvf");
        world_done(&w);
}

static void test_autoprobe_that_was_off_stays_off(void)
{
        World w;

        sriov_init(&w);
        find(&w, "01:00.0")->autoprobe = false;
        declare(&w, "0000:01:00.0", 2);
        settle(&w);
        g_assert_false(find(&w, "01:00.0")->autoprobe);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 0)->driver, ==, "");
        world_done(&w);
}

static void test_a_vf_that_a_file_matches_keeps_the_settings_of_its_pf(void)
{
        VfSection *s;
        World w;

        sriov_init(&w);
        world_rule(&w, MATCH_VIRTUAL_FUNCTION, "1", TARGET_NONE);
        s = add_section(declare(&w, "0000:01:00.0", 2), 0, 1, TARGET_VFIO);
        vf_settings_put(&s->settings, VF_MAC_ADDRESS, 0x020000001000);
        vf_settings_put(&s->settings, VF_VLAN, 100);
        settle(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 0)->driver, ==, "vfio-pci");
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "");
        g_assert_cmphex(find_vf(&w, "01:00.0", 1)->settings.values[VF_MAC_ADDRESS], ==,
                        0x020000001001);
        g_assert_cmpuint(find_vf(&w, "01:00.0", 1)->settings.values[VF_VLAN], ==, 100);
        world_done(&w);
}

static void test_settings_come_before_the_driver_and_drift_is_put_right(void)
{
        VfSection *s;
        World w;

        sriov_init(&w);
        s = add_section(declare(&w, "0000:01:00.0", 1), 0, 0, TARGET_VFIO);
        vf_settings_put(&s->settings, VF_TRUST, 1);
        world_plan(&w);
        world_run(&w);
        world_plan(&w);
        g_assert_cmpint(w.plan->units[0].steps[0].kind, ==, STEP_VF_SETTING);
        settle(&w);
        find_vf(&w, "01:00.0", 0)->settings.values[VF_TRUST] = 0;
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 1);
        settle(&w);
        g_assert_cmpuint(find_vf(&w, "01:00.0", 0)->settings.values[VF_TRUST], ==, 1);
        world_done(&w);
}

static void test_an_equal_number_is_never_written(void)
{
        World w;
        Rule *r;

        sriov_init(&w);
        r = declare(&w, "0000:01:00.0", 3);
        settle(&w);
        find_vf(&w, "01:00.0", 0)->host_saw_it = true;
        add_section(r, 0, 2, TARGET_VFIO);
        settle(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 2)->driver, ==, "vfio-pci");
        g_assert_true(find_vf(&w, "01:00.0", 0)->host_saw_it); /* still the same VF */
        world_done(&w);
}

static void test_another_number_goes_through_none_unless_a_vf_is_in_use(void)
{
        DeviceStatus s;
        World w;
        Rule *r;

        sriov_init(&w);
        r = declare(&w, "0000:01:00.0", 3);
        add_section(r, 0, 2, TARGET_VFIO);
        settle(&w);
        r->num_vfs = 5;
        use_vf(&w, find_vf(&w, "01:00.0", 1), "qemu (7) has /dev/vfio/9 open");
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        s = world_status(&w, "01:00.0");
        g_assert_cmpint(s.state, ==, STATE_BLOCKED);
        g_assert_cmpint(s.reason, ==, REASON_VFS_IN_USE);
        g_assert_nonnull(strstr(s.detail, "qemu (7)"));
        g_assert_nonnull(strstr(s.detail, "VF 1"));
        r->accept = hazard_bit(REASON_VFS_IN_USE);
        settle(&w);
        g_assert_cmpuint(find(&w, "01:00.0")->num_vfs, ==, 5);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "vfio-pci");
        world_done(&w);
}

static void test_a_removed_file_puts_the_number_back(void)
{
        World w;

        sriov_init(&w);
        find(&w, "01:00.0")->autoprobe = false;
        find(&w, "02:00.0")->leaves_vfs = true;
        declare(&w, "0000:01:00.0", 3);
        add_section(declare(&w, "0000:02:00.0", 4), 0, 3, TARGET_VFIO);
        settle(&w);
        forget_files(&w);
        settle(&w);
        g_assert_cmpuint(w.host.n, ==, 2);
        g_assert_true(find(&w, "02:00.0")->autoprobe);
        g_assert_false(find(&w, "01:00.0")->autoprobe);
        (void)!origin_table_prune(&w.origins, w.inv, w.desired, w.config, NULL, NULL);
        g_assert_cmpuint(w.origins.n_origins, ==, 0);
        world_done(&w);
}

static void test_a_pf_with_vfs_is_not_taken(void)
{
        World w;

        sriov_init(&w);
        declare(&w, "0000:02:00.0", 2);
        settle(&w);
        forget_files(&w);
        world_rule(&w, MATCH_ADDRESS, "0000:02:00.0", TARGET_VFIO);
        world_plan(&w);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_cmpint(world_status(&w, "02:00.0").reason, ==, REASON_VFS_EXIST);
        w.config->rules[0]->accept = hazard_bit(REASON_VFS_EXIST);
        settle(&w);
        g_assert_cmpstr(find(&w, "02:00.0")->driver, ==, "vfio-pci");
        g_assert_cmpuint(find(&w, "02:00.0")->num_vfs, ==, 0);
        world_done(&w);
}

static void test_a_pf_waits_for_its_driver(void)
{
        World w;

        sriov_init(&w);
        add_section(declare(&w, "0000:02:00.0", 2), 0, 1, TARGET_VFIO);
        settle(&w);
        find(&w, "02:00.0")->driver[0] = 0;
        world_plan(&w);
        g_assert_cmpint(world_status(&w, "02:00.0").state, ==, STATE_PENDING);
        g_assert_cmpint(world_status(&w, "02:00.0").reason, ==, REASON_SRIOV_DRIVER_MISSING);
        g_strlcpy(find(&w, "02:00.0")->driver, "nvme", 32);
        world_plan(&w);
        g_assert_cmpint(world_status(&w, "02:00.0").state, ==, STATE_READY);
        world_done(&w);
}

static void test_what_is_no_pf_and_what_is_too_many_is_said(void)
{
        World w;

        sriov_init(&w);
        host_add(&w.host, "0000:03:00.0", "8086:100e", 0x020000, 3, "e1000");
        declare(&w, "0000:03:00.0", 1);
        declare(&w, "0000:01:00.0", 9);
        world_plan(&w);
        g_assert_cmpint(world_status(&w, "03:00.0").reason, ==, REASON_SRIOV_UNSUPPORTED);
        g_assert_cmpint(world_status(&w, "01:00.0").reason, ==, REASON_SRIOV_TOO_MANY);
        g_assert_cmpint(world_status(&w, "01:00.0").state, ==, STATE_BLOCKED);
        world_done(&w);
}

static void test_nothing_is_moved_before_its_settings_are_known(void)
{
        VfSection *s;
        World w;

        sriov_init(&w);
        s = add_section(declare(&w, "0000:01:00.0", 1), 0, 0, TARGET_VFIO);
        vf_settings_put(&s->settings, VF_VLAN, 5);
        world_plan(&w);
        world_run(&w);
        world_plan(&w);
        inventory_find(w.inv, &find_vf(&w, "01:00.0", 0)->address)->vf_report = VF_REPORT_PENDING;
        plan_free(w.plan);
        g_assert_cmpint(plan_compute(w.inv, w.desired, w.choices, &w.origins, &w.uses, &w.plan), ==,
                        0);
        g_assert_cmpuint(plan_count_steps(w.plan), ==, 0);
        g_assert_true(w.plan->units[0].refusals[0].waits);
        world_done(&w);
}

static void test_a_request_counts_and_a_release_puts_back(void)
{
        Request q = { .vendor = 0x8086, .device = 0x10c9, .counts = true, .num_vfs = 2 };
        World w;

        sriov_init(&w);
        q.address = find(&w, "01:00.0")->address;
        g_assert_cmpint(request_table_put(&w.requests, &q), ==, 0);
        settle(&w);
        g_assert_cmpuint(find(&w, "01:00.0")->num_vfs, ==, 2);
        g_assert_cmpstr(find(&w, "01:00.0")->driver, ==, "igb");
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "igbvf");
        request_table_remove(&w.requests, &q.address);
        settle(&w);
        g_assert_cmpuint(find(&w, "01:00.0")->num_vfs, ==, 0);
        world_done(&w);
}

static void test_a_vf_of_others_without_a_driver_is_released_without_one(void)
{
        Step made = { .kind = STEP_SET_NUMVFS, .argument = (char *)"2" };
        World w;

        sriov_init(&w);
        made.address = find(&w, "01:00.0")->address;
        find(&w, "01:00.0")->autoprobe = false;
        g_assert_cmpint(host_step(&w.host, &made), ==, 0);
        find(&w, "01:00.0")->autoprobe = true;
        world_rule(&w, MATCH_VIRTUAL_FUNCTION, "1", TARGET_VFIO);
        settle(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "vfio-pci");
        forget_files(&w);
        settle(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "");
        world_done(&w);
}

static void test_settings_come_before_the_kernel_probes(void)
{
        size_t set = SIZE_MAX, probed = 0;
        VfSection *s;
        World w;

        sriov_init(&w);
        s = add_section(declare(&w, "0000:01:00.0", 1), 0, 0, TARGET_UNMANAGED);
        vf_settings_put(&s->settings, VF_VLAN, 5);
        world_plan(&w);
        world_run(&w);
        world_plan(&w);
        for (size_t i = 0; i < w.plan->units[0].n_steps; i++) {
                if (w.plan->units[0].steps[i].kind == STEP_VF_SETTING)
                        set = i;
                if (w.plan->units[0].steps[i].kind == STEP_PROBE)
                        probed = i;
        }
        g_assert_cmpuint(set, <, probed);
        settle(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 0)->driver, ==, "igbvf");
        world_done(&w);
}

/* As after a failure whose way back made the former VFs again, without drivers. */
static void test_vfs_are_not_given_up_twice_for_a_number_that_failed(void)
{
        World w;
        Rule *r;

        sriov_init(&w);
        r = declare(&w, "0000:01:00.0", 3);
        add_section(r, 0, 6, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        r->num_vfs = 5;
        world_plan(&w);
        w.desired->targets[0].gave_up = REASON_SRIOV_NO_RESOURCES;
        plan_free(w.plan);
        g_assert_cmpint(plan_compute(w.inv, w.desired, w.choices, &w.origins, &w.uses, &w.plan), ==,
                        0);
        g_assert_cmpint(w.plan->units[0].refusals[0].reason, ==, REASON_SRIOV_NO_RESOURCES);
        world_run(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 2)->driver, ==, "vfio-pci");
        world_done(&w);
}

static void test_vfs_of_a_refused_pf_are_kept_as_declared(void)
{
        World w;
        Rule *r;

        sriov_init(&w);
        r = declare(&w, "0000:01:00.0", 3);
        add_section(r, 0, 2, TARGET_VFIO);
        settle(&w);
        r->num_vfs = 9;
        find_vf(&w, "01:00.0", 1)->driver[0] = 0;
        settle(&w);
        g_assert_cmpint(world_status(&w, "01:00.0").reason, ==, REASON_SRIOV_TOO_MANY);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "vfio-pci");
        world_done(&w);
}

static void test_a_file_about_pfs_matches_no_vf(void)
{
        World w;
        Rule *r;

        sriov_init(&w);
        world_rule(&w, MATCH_CLASS, "020000", TARGET_UNMANAGED);
        r = w.config->rules[0];
        r->has_sriov = true;
        r->num_vfs = 2;
        r->match.expect = 1;
        add_section(r, 0, 1, TARGET_VFIO);
        settle(&w);
        g_assert_cmpint(world_status(&w, "01:00.0").state, ==, STATE_READY);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 1)->driver, ==, "vfio-pci");
        world_done(&w);
}

static void test_no_driver_gets_vfs_while_it_is_unclear_which_card_is_meant(void)
{
        World w;
        Rule *r;

        sriov_init(&w);
        r = declare(&w, "0000:01:00.0", 2);
        add_section(r, 0, 1, TARGET_VFIO);
        world_plan(&w);
        world_run(&w);
        r->match.expect = 2;
        settle(&w);
        g_assert_cmpstr(find_vf(&w, "01:00.0", 0)->driver, ==, "");
        g_assert_false(find(&w, "01:00.0")->autoprobe);
        world_done(&w);
}

static void test_settings_of_ranges(void)
{
        Rule *r = rule_new("a", "a");
        VfSection *s;
        VfSettings v;
        char *text;

        s = add_section(r, 0, 9, TARGET_UNMANAGED);
        vf_settings_put(&s->settings, VF_MAC_ADDRESS, 0x0200000000fe);
        s = add_section(r, 2, 3, TARGET_UNMANAGED);
        vf_settings_put(&s->settings, VF_MAC_ADDRESS, 0x020000001000);
        vf_settings_put(&s->settings, VF_TRUST, 1);
        v = rule_vf_settings(r, 3);
        text = vf_settings_format(&v);
        g_assert_cmpstr(text, ==, "MACAddress=02:00:00:00:10:01 Trust=yes");
        free(text);
        v = rule_vf_settings(r, 4);
        text = vf_settings_format(&v);
        g_assert_cmpstr(text, ==, "MACAddress=02:00:00:00:01:02");
        free(text);
        rule_unref(r);
}

/* PFs with random files, some VFs there already, and autoprobe on or off. */
static void random_world(World *w, GRand *rand)
{
        static const TargetKind kinds[] = { TARGET_VFIO, TARGET_VFIO, TARGET_UNMANAGED,
                                            TARGET_NONE };

        sriov_init(w);
        for (size_t i = 0; i < 2; i++) {
                HostDevice *pf = &w->host.devices[i];
                const Step there = { .kind = STEP_SET_NUMVFS,
                                     .address = pf->address,
                                     .argument = g_rand_boolean(rand) ? (char *)"0" : (char *)"3" };

                pf->autoprobe = g_rand_boolean(rand);
                g_assert_cmpint(host_step(&w->host, &there), ==, 0);
        }
        for (size_t i = 0; i < 2; i++) {
                Rule *r = declare(w, i == 0 ? "0000:01:00.0" : "0000:02:00.0",
                                  (unsigned)g_rand_int_range(rand, 0, 8));

                for (int k = g_rand_int_range(rand, 0, 3); k > 0; k--) {
                        unsigned first = (unsigned)g_rand_int_range(rand, 0, 6);
                        VfSection *s = add_section(
                                r, first, (unsigned)g_rand_int_range(rand, (gint32)first, 7),
                                kinds[g_rand_int_range(rand, 0, 4)]);

                        if (i == 0)
                                vf_settings_put(&s->settings, VF_VLAN,
                                                (uint64_t)g_rand_int_range(rand, 1, 9));
                }
        }
}

/* Killed after `n` steps of what would have been run; what was written down stays. */
static void run_steps(World *w, size_t n)
{
        for (unsigned i = 0; i < LOOKS_MAX; i++) {
                world_plan(w);
                for (size_t k = 0; k < w->plan->n_units; k++) {
                        const Unit *u = &w->plan->units[k];

                        host_record(&w->host, u, &w->origins);
                        for (size_t s = 0; s < u->n_steps; s++) {
                                if (n-- == 0)
                                        return;
                                g_assert_cmpint(host_step(&w->host, &u->steps[s]), ==, 0);
                        }
                        unit_settle(u, &w->origins);
                }
        }
}

static void check_settled(World *w, const Host *start)
{
        for (size_t i = 0; i < 2; i++) {
                const Rule *r = w->config->rules[i];
                const char *driver, *pf = i == 0 ? "01:00.0" : "02:00.0";

                g_assert_cmpuint(w->host.devices[i].num_vfs, ==, r->num_vfs);
                for (unsigned k = 0; k < r->num_vfs; k++) {
                        const HostDevice *vf = find_vf(w, pf, (int)k);
                        TargetKind kind = rule_vf_target(r, k, &driver);

                        if (kind == TARGET_VFIO)
                                g_assert_cmpstr(vf->driver, ==, "vfio-pci");
                        /* Only what was there before may have been on a host driver. */
                        if (kind == TARGET_VFIO && start->devices[i].num_vfs != r->num_vfs)
                                g_assert_false(vf->host_saw_it);
                }
        }
}

static void test_killed_at_every_step_it_converges_and_gives_back(void)
{
        GRand *rand = g_rand_new_with_seed((guint32)g_test_rand_int());

        for (int i = 0; i < 60; i++)
                for (size_t killed = 0; killed < 40; killed++) {
                        Host start;
                        World w;

                        random_world(&w, rand);
                        start = w.host;
                        run_steps(&w, killed);
                        settle(&w);
                        check_settled(&w, &start);
                        forget_files(&w);
                        settle(&w);
                        g_assert_true(host_equal(&w.host, &start));
                        world_done(&w);
                }
        g_rand_free(rand);
}

static void test_every_prefix_of_a_creation_can_be_taken_back(void)
{
        GRand *rand = g_rand_new_with_seed((guint32)g_test_rand_int());

        for (int i = 0; i < 300; i++) {
                World w;

                random_world(&w, rand);
                world_plan(&w);
                for (size_t k = 0; k < w.plan->n_units; k++) {
                        const Unit *u = &w.plan->units[k];

                        for (size_t n = 0; n <= u->n_steps && u->sriov && !u->restore; n++) {
                                OriginTable before = { 0 };
                                bool done[16] = { 0 };
                                Host host = w.host;
                                Unit undo;

                                host_record(&host, u, &before);
                                for (size_t s = 0; s < n; s++) {
                                        done[s] = true;
                                        g_assert_cmpint(host_step(&host, &u->steps[s]), ==, 0);
                                }
                                g_assert_cmpint(plan_undo(u, done, &before, &undo), ==, 0);
                                for (size_t s = 0; s < undo.n_steps; s++)
                                        g_assert_cmpint(host_step(&host, &undo.steps[s]), ==, 0);
                                g_assert_cmpuint(host.devices[0].num_vfs, ==,
                                                 w.host.devices[0].num_vfs);
                                g_assert_true(host.devices[0].autoprobe ==
                                              w.host.devices[0].autoprobe);
                                unit_done(&undo);
                                origin_table_done(&before);
                        }
                }
                world_done(&w);
        }
        g_rand_free(rand);
}

#define TEST(name) g_test_add_func("/sriov/" #name, test_##name)

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
        TEST(vfs_are_made_and_no_host_driver_sees_them);
        TEST(vfs_without_a_driver_are_left_to_the_kernel);
        TEST(autoprobe_that_was_off_stays_off);
        TEST(a_vf_that_a_file_matches_keeps_the_settings_of_its_pf);
        TEST(settings_come_before_the_driver_and_drift_is_put_right);
        TEST(an_equal_number_is_never_written);
        TEST(another_number_goes_through_none_unless_a_vf_is_in_use);
        TEST(a_removed_file_puts_the_number_back);
        TEST(a_pf_with_vfs_is_not_taken);
        TEST(a_pf_waits_for_its_driver);
        TEST(what_is_no_pf_and_what_is_too_many_is_said);
        TEST(nothing_is_moved_before_its_settings_are_known);
        TEST(a_request_counts_and_a_release_puts_back);
        TEST(a_vf_of_others_without_a_driver_is_released_without_one);
        TEST(settings_come_before_the_kernel_probes);
        TEST(vfs_are_not_given_up_twice_for_a_number_that_failed);
        TEST(vfs_of_a_refused_pf_are_kept_as_declared);
        TEST(a_file_about_pfs_matches_no_vf);
        TEST(no_driver_gets_vfs_while_it_is_unclear_which_card_is_meant);
        TEST(settings_of_ranges);
        TEST(every_prefix_of_a_creation_can_be_taken_back);
        TEST(killed_at_every_step_it_converges_and_gives_back);
        return g_test_run();
}
