/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/log.h"
#include "config/load.h"
#include "daemon/bus.h"
#include "daemon/manager-internal.h"
#include "daemon/messages.h"

#include <systemd/sd-daemon.h>
#include <time.h>

static const char *const manager_state_names[_MANAGER_STATE_MAX] = {
        [MANAGER_STARTING] = "starting",
        [MANAGER_READY] = "ready",
        [MANAGER_DEGRADED] = "degraded",
        [MANAGER_DISABLED] = "disabled",
};

DEFINE_TO_STRING(manager_state, ManagerState);

Snapshot manager_snapshot(const Manager *m)
{
        return (Snapshot){ m->inventory, m->desired, m->plan, m->status, &m->origins };
}

ManagerState manager_state(const Manager *m)
{
        return m->state;
}

const Config *manager_config(const Manager *m)
{
        return m->config;
}

Bus *manager_bus(const Manager *m)
{
        return m->bus_side;
}

sd_event *manager_event(const Manager *m)
{
        return m->event;
}

unsigned manager_count(const Manager *m, DeviceState s)
{
        return m->counts[s];
}

uint64_t manager_now(const Manager *m)
{
        uint64_t now;

        return sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0 ? 0 : now;
}

/* The first track not below the address. Most often they are asked for in their order. */
static size_t track_position(Manager *m, const PciAddress *address)
{
        size_t found;

        for (size_t i = m->last_track; i < MIN(m->last_track + 2, m->n_tracks); i++) {
                if (pci_address_compare(&m->tracks[i].address, address) >= 0)
                        break;
                if (i + 1 == m->n_tracks ||
                    pci_address_compare(&m->tracks[i + 1].address, address) >= 0) {
                        m->last_track = i;
                        return i + 1;
                }
        }

        found = pci_address_position(m->tracks, m->n_tracks, sizeof(Track), address);
        m->last_track = found > 0 ? found - 1 : 0;
        return found;
}

const Track *manager_find_track(void *userdata, const PciAddress *address)
{
        Manager *m = userdata;
        size_t i = track_position(m, address);

        return i < m->n_tracks && pci_address_equal(&m->tracks[i].address, address) ? &m->tracks[i]
                                                                                    : NULL;
}

Track *manager_track(Manager *m, const PciAddress *address)
{
        size_t i = track_position(m, address);

        if (i < m->n_tracks && pci_address_equal(&m->tracks[i].address, address))
                return &m->tracks[i];
        if (!INSERT(m->tracks, m->n_tracks, i))
                return NULL;
        m->tracks[i] = (Track){ .address = *address };
        return &m->tracks[i];
}

/* Lets the timer fire in `delay` microseconds, or sooner if it is to anyway. */
int manager_arm(Manager *m, sd_event_source **timer, uint64_t delay,
                sd_event_time_handler_t handler)
{
        uint64_t due = manager_now(m) + delay, planned;
        int enabled, r;

        if (!*timer) {
                r = sd_event_add_time(m->event, timer, CLOCK_MONOTONIC, due, 1, handler, m);
                return r < 0 ? r : sd_event_source_set_priority(*timer, MANAGER_PRIORITY);
        }
        r = sd_event_source_get_enabled(*timer, &enabled);
        if (r >= 0)
                r = sd_event_source_get_time(*timer, &planned);
        if (r < 0 || (enabled != SD_EVENT_OFF && planned <= due))
                return r;
        r = sd_event_source_set_time(*timer, due);
        return r < 0 ? r : sd_event_source_set_enabled(*timer, SD_EVENT_ONESHOT);
}

void manager_set_settled(Manager *m, bool late)
{
        /* Whoever is started after us finds us on the bus, if there is one. */
        if (m->settled || (m->bus && !m->named && !late))
                return;
        m->settled = true;
        m->startup_timer = sd_event_source_disable_unref(m->startup_timer);
        (void)sd_notify(false, "READY=1");
}

static int on_startup_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
        Manager *m = userdata;

        log_full(LOG_WARNING, 0, &(LogFields){ .message_id = VFIOD_MESSAGE_DEGRADED },
                 "Not all devices are as declared after StartupTimeoutSec=, going on.");
        manager_set_settled(m, /* late= */ true);
        return manager_schedule_look(m, 0);
}

static int on_retry(sd_event_source *s, uint64_t usec, void *userdata)
{
        return manager_schedule_look(userdata, 0);
}

/*
 * Another card, or one that has forgotten: nothing counts of what was before. Nor does it for a PF
 * that has just got the driver which is to make its VFs.
 */
static void take_in_event(Manager *m, const PciAddress *address, bool added, bool bound)
{
        ssize_t i = inventory_index(m->inventory, address);
        Track *t;

        if (added)
                manager_forget_serial(m, address);
        manager_doubt_vfs(m, address, added);
        if (added || (bound && i >= 0 && m->desired->targets[i].num_vfs >= 0)) {
                t = manager_track(m, address);
                if (t)
                        track_reset(t);
        }
        manager_look_at(m, address);
}

static int on_monitor(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        enum { BATCH = 256 };
        Manager *m = userdata;

        for (int i = 0; i < BATCH; i++) {
                PciAddress address;
                bool added, bound;
                int group;

                switch (monitor_receive(m->monitor, &address, &group, &added, &bound)) {
                case MONITOR_NOTHING:
                        return 0;
                case MONITOR_DEVICE:
                        take_in_event(m, &address, added, bound);
                        break;
                case MONITOR_GROUP:
                        manager_look_at_group(m, group);
                        break;
                case MONITOR_LOST:
                        log_full(LOG_WARNING, 0,
                                 &(LogFields){ .message_id = VFIOD_MESSAGE_EVENTS_LOST },
                                 "Events from udev were lost, looking at all devices again.");
                        manager_forget_serials(m, NULL);
                        manager_doubt_all_vfs(m);
                        manager_look_at_all(m);
                        break;
                }
        }
        return 0;
}

static int on_sighup(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        int r = manager_reload(userdata, false);

        if (r < 0)
                log_error_errno(r, "Failed to reload the configuration: %m");
        return 0;
}

static int on_terminate(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata)
{
        Manager *m = userdata;

        /* libsystemd flushes at the end of the loop, and waits for a bus that never said hello. */
        if (!m->named)
                manager_disconnect_bus(m);
        else
                bus_drop_calls(m->bus_side);
        return sd_event_exit(m->event, 0);
}

static int load_memory(Manager *m)
{
        _cleanup_free_ char *why = NULL;
        int r;

        r = state_load(&m->root, m->boot_id, &m->origins, &why);
        if (r < 0 && r != -EBADMSG && r != -EPROTONOSUPPORT)
                return log_error_errno(r, "Failed to read /var/lib/vfiod/state: %m");
        if (r < 0)
                log_full(LOG_ERR, r, &(LogFields){ .message_id = VFIOD_MESSAGE_STATE_BROKEN },
                         "The state file was set aside, and the host is read anew: %s",
                         strempty(why));
        r = requests_load(&m->root, m->boot_id, &m->requests);
        if (r < 0)
                log_warning_errno(r, "Failed to read /run/vfiod/requests, ignoring: %m");
        return 0;
}

/* systemd makes them for the host; where they are missing each step would fail. */
static void make_folders(const Manager *m)
{
        static const char *const folders[] = { "run/vfiod", "var/lib/vfiod" };

        for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
                int r = sysroot_make_folder(&m->root, folders[i]);

                if (r < 0)
                        log_error_errno(r, "Failed to make '%s/%s', no device can be moved: %m",
                                        m->root.prefix, folders[i]);
        }
}

static int load_config(Manager *m, Config **ret)
{
        int r;

        r = config_load(m->root.root, m->root.prefix, m->config, ret);
        if (r < 0)
                return r;
        report_diagnostics(*ret);
        return 0;
}

static int setup_timers(Manager *m)
{
        uint64_t timeout = m->config->daemon.startup_timeout_usec;
        int r;

        r = sd_event_add_time(m->event, &m->retry_timer, CLOCK_MONOTONIC, 0, 0, on_retry, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->retry_timer, SD_EVENT_OFF);
        if (r >= 0 && timeout != USEC_INFINITY)
                r = sd_event_add_time_relative(m->event, &m->startup_timer, CLOCK_MONOTONIC,
                                               timeout, 0, on_startup_timeout, m);
        return r;
}

int manager_new(const char *prefix, const char *worker, Manager **ret)
{
        _cleanup_(manager_freep) Manager *m = calloc(1, sizeof(Manager));
        int r;

        if (!m)
                return log_error_errno(ENOMEM, "Out of memory.");
        m->root = SYSROOT_NULL;
        r = sd_event_default(&m->event);
        if (r < 0)
                return log_error_errno(r, "Failed to make an event loop: %m");
        r = sysroot_open(prefix, &m->root);
        if (r < 0)
                return log_error_errno(r, "Failed to open '%s': %m", prefix ? prefix : "/");
        r = boot_id_read(&m->root, m->boot_id);
        if (r < 0)
                return log_error_errno(r, "Failed to read the boot id: %m");
        make_folders(m);
        r = load_config(m, &m->config);
        if (r < 0)
                return log_error_errno(r, "Failed to load the configuration: %m");
        r = load_memory(m);
        if (r < 0)
                return r;
        r = pool_new(m->event, worker, &m->root, m->config->daemon.max_workers, manager_on_hold, m,
                     &m->pool);
        if (r < 0)
                return log_error_errno(r, "Failed to set up the workers: %m");
        *ret = TAKE_PTR(m);
        return 0;
}

int manager_start(Manager *m)
{
        int r;

        r = sd_event_add_signal(m->event, NULL, SIGTERM, on_terminate, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGINT, on_terminate, m);
        if (r >= 0)
                r = sd_event_add_signal(m->event, NULL, SIGHUP, on_sighup, m);
        if (r >= 0)
                r = setup_timers(m);
        if (r >= 0)
                r = sd_event_set_watchdog(m->event, true);
        if (r < 0)
                return log_error_errno(r, "Failed to set up the event loop: %m");
        /* The monitor before the first look, so that nothing falls between them. */
        r = monitor_new(&m->monitor);
        if (r >= 0)
                r = sd_event_add_io(m->event, NULL, monitor_fd(m->monitor), EPOLLIN, on_monitor, m);
        if (r < 0)
                return log_error_errno(r, "Failed to listen to udev: %m");
        r = manager_connect_bus(m);
        if (r < 0)
                return r;
        /* What cannot be known is not written to: the workers fail at the same file. */
        r = pool_adopt(m->pool, m->config->daemon.write_timeout_usec);
        if (r < 0)
                log_error_errno(r, "Failed to find out who holds /run/vfiod/locks: %m");
        manager_look_at_all(m);
        return manager_schedule_look(m, 0);
}

Manager *manager_free(Manager *m)
{
        if (!m)
                return NULL;
        manager_save_last(m);
        jobs_free_all(m);
        manager_disconnect_bus(m);
        pool_free(m->pool);
        work_free_all(m);
        monitor_free(m->monitor);
        status_table_free(m->status);
        plan_free(m->plan);
        desired_free(m->desired);
        inventory_free(m->inventory);
        for (size_t i = 0; i < m->n_tracks; i++)
                track_done(&m->tracks[i]);
        free(m->tracks);
        free(m->serials);
        vf_reports_free_all(m);
        manager_watch_links(m, false);
        free(m->look);
        alias_cache_done(&m->aliases);
        origin_table_done(&m->origins);
        request_table_done(&m->requests);
        config_free(m->config);
        sd_event_source_disable_unref(m->look_timer);
        sd_event_source_disable_unref(m->retry_timer);
        sd_event_source_disable_unref(m->tidy_timer);
        sd_event_source_disable_unref(m->startup_timer);
        sd_event_source_disable_unref(m->save_timer);
        sd_event_source_disable_unref(m->saver);
        sd_event_source_disable_unref(m->saver_timer);
        sd_event_unref(m->event);
        sysroot_done(&m->root);
        free(m);
        return NULL;
}

/* What changed by the new files is no drift, and is tried at once. */
static void reset_tracks(Manager *m)
{
        for (size_t i = 0; i < m->n_tracks; i++)
                track_ask_again(&m->tracks[i]);
}

int manager_reload(Manager *m, bool forget)
{
        Config *config;
        int r;

        if (m->settled)
                (void)sd_notifyf(false, "RELOADING=1\nMONOTONIC_USEC=%llu",
                                 (unsigned long long)manager_now(m));
        r = load_config(m, &config);
        if (r >= 0) {
                config_free(m->config);
                m->config = config;
                if (forget && m->requests.n_requests > 0) {
                        request_table_done(&m->requests);
                        m->requests_dirty = true;
                }
                reset_tracks(m);
                pool_set_max_workers(m->pool, config->daemon.max_workers);
                manager_look_at_all(m);
                r = manager_look(m);
        }
        if (m->settled)
                (void)sd_notify(false, "READY=1");
        return r;
}
