/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whether a unit may begin. The host: a PF with two VFs, another PF, and a group of two functions.
 */

#include "model/schedule.h"
#include "model/unit.h"

#include <glib.h>

enum { PF, VF0, VF1, OTHER_PF, LEFT, RIGHT, N_DEVICES };

typedef struct World {
        Inventory *inv;
        PciAddress a[N_DEVICES];
        Track tracks[N_DEVICES];
        Unit unit;
} World;

static const Track *find_track(void *userdata, const PciAddress *address)
{
        World *w = userdata;

        for (size_t i = 0; i < N_DEVICES; i++)
                if (pci_address_equal(&w->a[i], address))
                        return &w->tracks[i];
        return NULL;
}

static void world_init(World *w)
{
        Device *devices[N_DEVICES];

        *w = (World){ 0 };
        for (size_t i = 0; i < N_DEVICES; i++) {
                w->a[i] = (PciAddress){ .bus = 1, .device = (uint8_t)i };
                w->tracks[i].address = w->a[i];
                devices[i] = device_new(&w->a[i]);
                g_assert_nonnull(devices[i]);
                devices[i]->group = (int)MIN(i, (size_t)LEFT);
        }
        devices[PF]->total_vfs = devices[OTHER_PF]->total_vfs = 4;
        devices[PF]->num_vfs = 2;
        for (size_t i = VF0; i <= VF1; i++) {
                devices[i]->is_vf = true;
                devices[i]->pf = w->a[PF];
        }
        g_assert_cmpint(inventory_new(devices, N_DEVICES, true, NULL, &w->inv), ==, 0);
}

static void world_done(World *w)
{
        unit_done(&w->unit);
        inventory_free(w->inv);
}

/* The unit becomes one of these devices, with one step for the first of them. */
static void take(World *w, StepKind kind, size_t first, size_t last)
{
        unit_done(&w->unit);
        w->unit = (Unit){ .group = -1, .sriov = kind == STEP_SET_NUMVFS };
        for (size_t i = first; i <= last; i++)
                g_assert_cmpint(unit_add_member(&w->unit, &w->a[i]), ==, 0);
        g_assert_cmpint(unit_add_step(&w->unit, kind, &w->a[first], "0", ""), ==, 0);
}

static uint64_t due(World *w)
{
        return schedule_due(&w->unit, w->inv, find_track, w);
}

/* The device that keeps the unit back, -1: none does. */
static int obstacle(World *w)
{
        const Track *t = schedule_obstacle(&w->unit, w->inv, find_track, w);

        g_assert_cmpint(t && due(w) != USEC_INFINITY, ==, 0);
        return t ? (int)(t - w->tracks) : -1;
}

static void test_begins_when_nothing_is_in_the_way(void)
{
        World w;

        world_init(&w);
        take(&w, STEP_BIND, LEFT, RIGHT);
        g_assert_cmpuint(due(&w), ==, 0);
        g_assert_cmpuint(schedule_due(&w.unit, w.inv, NULL, NULL), ==, 0);
        g_assert_null(schedule_obstacle(&w.unit, w.inv, NULL, NULL));
        w.tracks[LEFT].retry_usec = 5;
        w.tracks[RIGHT].retry_usec = 7;
        g_assert_cmpuint(due(&w), ==, 7);
        g_assert_cmpint(obstacle(&w), ==, -1);
        g_assert_cmpint(unit_refuse(&w.unit, REASON_BRIDGE, &w.a[LEFT], NULL), ==, 0);
        g_assert_cmpuint(due(&w), ==, USEC_INFINITY);
        world_done(&w);
}

static void test_a_member_closes_its_unit(void)
{
        World w;

        world_init(&w);
        take(&w, STEP_BIND, LEFT, RIGHT);
        w.tracks[RIGHT].working = true;
        g_assert_cmpuint(due(&w), ==, USEC_INFINITY);
        g_assert_cmpint(obstacle(&w), ==, -1);
        w.tracks[RIGHT].working = false;
        w.tracks[RIGHT].occupied = true;
        g_assert_cmpuint(due(&w), ==, USEC_INFINITY);
        w.tracks[RIGHT].occupied = false;
        w.tracks[LEFT].contended = true;
        g_assert_cmpint(obstacle(&w), ==, LEFT);
        w.tracks[RIGHT].stuck = true;
        g_assert_cmpint(obstacle(&w), ==, RIGHT);
        take(&w, STEP_BIND, OTHER_PF, OTHER_PF);
        g_assert_cmpint(obstacle(&w), ==, -1);
        g_assert_cmpuint(due(&w), ==, 0);
        world_done(&w);
}

static void test_a_pf_closes_its_vfs(void)
{
        World w;

        world_init(&w);
        take(&w, STEP_BIND, VF0, VF0);
        w.tracks[PF].working = true;
        g_assert_cmpuint(due(&w), ==, USEC_INFINITY);
        w.tracks[PF].working = false;
        w.tracks[PF].contended = true;
        g_assert_cmpuint(due(&w), ==, 0);
        w.tracks[PF].stuck = true;
        g_assert_cmpint(obstacle(&w), ==, PF);
        w.tracks[PF] = (Track){ .address = w.a[PF] };
        w.tracks[VF1].stuck = true;
        g_assert_cmpuint(due(&w), ==, 0);
        world_done(&w);
}

static void test_a_vf_closes_what_would_remove_it(void)
{
        static const StepKind removing[] = { STEP_SET_NUMVFS, STEP_UNBIND };
        World w;

        world_init(&w);
        w.tracks[VF1].stuck = true;
        for (size_t i = 0; i < ELEMENTSOF(removing); i++) {
                take(&w, removing[i], PF, PF);
                g_assert_cmpint(obstacle(&w), ==, VF1);
                take(&w, removing[i], OTHER_PF, OTHER_PF);
                g_assert_cmpuint(due(&w), ==, 0);
        }
        take(&w, STEP_SET_AUTOPROBE, PF, PF);
        g_assert_cmpuint(due(&w), ==, 0);
        w.tracks[VF1].stuck = false;
        w.tracks[VF1].working = true;
        take(&w, STEP_SET_NUMVFS, PF, PF);
        g_assert_cmpuint(due(&w), ==, USEC_INFINITY);
        g_assert_cmpint(obstacle(&w), ==, -1);
        world_done(&w);
}

static void test_a_stuck_number_of_vfs_closes_all_numbers(void)
{
        World w;

        world_init(&w);
        w.tracks[OTHER_PF].stuck = true;
        take(&w, STEP_SET_NUMVFS, PF, PF);
        g_assert_cmpuint(due(&w), ==, 0);
        w.tracks[OTHER_PF].holds_rescan = true;
        g_assert_cmpint(obstacle(&w), ==, OTHER_PF);
        take(&w, STEP_UNBIND, PF, PF);
        g_assert_cmpuint(due(&w), ==, 0);
        take(&w, STEP_BIND, VF0, VF0);
        g_assert_cmpuint(due(&w), ==, 0);
        world_done(&w);
}

int main(int argc, char *argv[])
{
        g_test_init(&argc, &argv, NULL);
#define TEST(name) g_test_add_func("/schedule/" #name, test_##name)
        TEST(begins_when_nothing_is_in_the_way);
        TEST(a_member_closes_its_unit);
        TEST(a_pf_closes_its_vfs);
        TEST(a_vf_closes_what_would_remove_it);
        TEST(a_stuck_number_of_vfs_closes_all_numbers);
        return g_test_run();
}
