/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus-fixture.h"

#include <glib/gstdio.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

/* The private bus ------------------------------------------------------------------------------ */

static const char bus_config[] =
        "<!DOCTYPE busconfig PUBLIC \"-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN\" "
        "\"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd\">"
        "<busconfig><type>custom</type><listen>unix:path=%s/bus</listen>"
        "<auth>EXTERNAL</auth>"
        "<policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>"
        "<allow send_destination=\"*\" eavesdrop=\"true\"/><allow receive_sender=\"*\"/></policy>"
        "</busconfig>";

/* The socket is there a moment before anyone listens on it. */
static void wait_for_socket(const char *path)
{
        gint64 deadline = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        bool connected = false;

        g_assert_cmpuint(g_strlcpy(address.sun_path, path, sizeof(address.sun_path)), <,
                         sizeof(address.sun_path));
        while (!connected) {
                int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

                g_assert_cmpint(fd, >=, 0);
                connected = connect(fd, (struct sockaddr *)&address, sizeof(address)) >= 0;
                close(fd);
                g_assert_cmpint(g_get_monotonic_time(), <, deadline);
                if (!connected)
                        g_usleep(1000);
        }
}

/* A failed assertion ends the test at once, and must not leave a bus behind. */
static void die_with_parent(void *userdata)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void start_daemon(Fixture *f)
{
        g_autofree char *config = NULL, *text = NULL, *socket = NULL, *option = NULL;
        g_autoptr(GError) error = NULL;

        f->directory = g_dir_make_tmp("vfiod-bus-XXXXXX", NULL);
        g_assert_nonnull(f->directory);
        g_assert_cmpint(g_chmod(f->directory, 0755), ==, 0);
        config = g_build_filename(f->directory, "bus.conf", NULL);
        socket = g_build_filename(f->directory, "bus", NULL);
        text = g_strdup_printf(bus_config, f->directory);
        g_assert_true(g_file_set_contents(config, text, -1, NULL));
        option = g_strdup_printf("--config-file=%s", config);
        char *argv[] = { (char *)"dbus-daemon",
                         (char *)"--nofork",
                         (char *)"--nopidfile",
                         (char *)"--nosyslog",
                         option,
                         NULL };
        g_assert_true(g_spawn_async(NULL, argv, NULL,
                                    G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                            G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                                    die_with_parent, NULL, &f->daemon, &error));
        wait_for_socket(socket);
        f->address = g_strdup_printf("unix:path=%s", socket);
}

/*
 * The bus takes the uid of the thread that connects. The plain system call changes it for this
 * thread only, and for no longer than the connection takes.
 */
sd_bus *fixture_connect(Fixture *f, uid_t uid)
{
        uid_t own = geteuid();
        sd_bus *bus = NULL;

        g_assert_cmpint(sd_bus_new(&bus), >=, 0);
        g_assert_cmpint(sd_bus_set_address(bus, f->address), >=, 0);
        g_assert_cmpint(sd_bus_set_bus_client(bus, true), >=, 0);
        if (uid != own)
                g_assert_cmpint(syscall(SYS_setresuid, -1, uid, -1), ==, 0);
        g_assert_cmpint(sd_bus_start(bus), >=, 0);
        if (uid != own)
                g_assert_cmpint(syscall(SYS_setresuid, -1, own, -1), ==, 0);
        g_assert_cmpint(sd_bus_attach_event(bus, f->event, SD_EVENT_PRIORITY_NORMAL), >=, 0);
        return bus;
}

/* Mock polkit ---------------------------------------------------------------------------------- */

static void question_free(void *p)
{
        Question *q = p;

        g_free(q->subject_kind);
        g_free(q->subject_name);
        g_free(q->action);
        g_free(q->cancellation_id);
        g_hash_table_unref(q->details);
        g_free(q);
}

/* The types are exactly those of polkit; anything else fails the test. */
static Question *read_question(sd_bus_message *m)
{
        Question *q = g_new0(Question, 1);
        const char *kind, *key, *name, *action, *id, *value;

        g_assert_cmpstr(sd_bus_message_get_signature(m, true), ==, "(sa{sv})sa{ss}us");
        g_assert_cmpint(sd_bus_message_read(m, "(sa{sv})s", &kind, 1, &key, "s", &name, &action), >,
                        0);
        g_assert_cmpstr(key, ==, "name");
        q->subject_kind = g_strdup(kind);
        q->subject_name = g_strdup(name);
        q->action = g_strdup(action);
        q->details = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        g_assert_cmpint(sd_bus_message_enter_container(m, 'a', "{ss}"), >, 0);
        while (sd_bus_message_read(m, "{ss}", &key, &value) > 0)
                g_hash_table_insert(q->details, g_strdup(key), g_strdup(value));
        g_assert_cmpint(sd_bus_message_exit_container(m), >, 0);
        g_assert_cmpint(sd_bus_message_read(m, "us", &q->flags, &id), >, 0);
        q->cancellation_id = g_strdup(id);
        return q;
}

static int answer(sd_bus_message *m, bool authorised, bool challenge)
{
        return sd_bus_reply_method_return(m, "(bba{ss})", (int)authorised, (int)challenge, 0);
}

static int answer_garbage(sd_bus_message *m, guint n)
{
        switch (n % 5) {
        case 0:
                return sd_bus_reply_method_return(m, NULL);
        case 1:
                return sd_bus_reply_method_return(m, "bba{ss}", 1, 0, 0);
        case 2:
                return sd_bus_reply_method_return(m, "(bb)", 1, 0);
        case 3:
                return sd_bus_reply_method_return(m, "(uua{ss})", 1, 0, 0);
        default:
                return sd_bus_reply_method_return(m, "(bba{ss})s", 1, 0, 0, "yes");
        }
}

static int on_check(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;
        Question *q = read_question(m);

        g_ptr_array_add(f->questions, q);
        switch (f->mode) {
        case MOCK_ALLOW:
                return answer(m, true, false);
        case MOCK_CHALLENGE:
                return answer(m, false, true);
        case MOCK_GARBAGE:
                return answer_garbage(m, f->questions->len);
        case MOCK_ERROR:
                return sd_bus_error_set(error, "org.freedesktop.PolicyKit1.Error.Failed", "broken");
        case MOCK_SILENT:
                return 1;
        case MOCK_HOOK:
                return f->hook(f, m, q);
        case MOCK_ONE_DEVICE:
                return answer(m, streq_ptr(question_detail(q, "address"), f->allowed_address),
                              false);
        case MOCK_CHANGE_HOST:
                g_strlcpy(f->manager.host.devices[0].driver,
                          f->manager.host.devices[0].driver[0] ? "" : "e1000", 32);
                manager_refresh(&f->manager);
                return answer(m, true, false);
        case MOCK_REMOVE_DEVICE:
                f->manager.host.devices[4] = f->manager.host.devices[--f->manager.host.n];
                manager_refresh(&f->manager);
                return answer(m, true, false);
        default:
                return answer(m, false, false);
        }
}

/* No vtable: sd-bus would hold the mock to the types that one promises. */
static int on_polkit_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        static const char *const interface = "org.freedesktop.PolicyKit1.Authority";
        Fixture *f = userdata;

        if (sd_bus_message_is_method_call(m, interface, "CheckAuthorization") > 0)
                return on_check(m, userdata, error);
        if (sd_bus_message_is_method_call(m, interface, "CancelCheckAuthorization") > 0)
                f->n_cancelled_questions++;
        return 1;
}

static void start_polkit(Fixture *f)
{
        f->questions = g_ptr_array_new_with_free_func(question_free);
        f->polkit = fixture_connect(f, geteuid());
        g_assert_cmpint(sd_bus_add_object(f->polkit, NULL, "/org/freedesktop/PolicyKit1/Authority",
                                          on_polkit_message, f),
                        >=, 0);
        g_assert_cmpint(sd_bus_request_name(f->polkit, "org.freedesktop.PolicyKit1", 0), >=, 0);
}

void fixture_remove_polkit(Fixture *f)
{
        g_assert_cmpint(sd_bus_release_name(f->polkit, "org.freedesktop.PolicyKit1"), >=, 0);
}

const Question *fixture_question(const Fixture *f, guint i)
{
        g_assert_cmpuint(i, <, f->questions->len);
        return g_ptr_array_index(f->questions, i);
}

const char *question_detail(const Question *q, const char *key)
{
        return g_hash_table_lookup(q->details, key);
}

/* Setting up ----------------------------------------------------------------------------------- */

/*
 * Group 7: a bridge and three functions, one of them declared by a file. Group 8: one function.
 * A function without a group. The boot display in group 9. A place that a file names and that is
 * empty.
 */
static void fill_host(Manager *m)
{
        static const char *const files[][2] = { { "10-nic.conf", "0000:04:00.0" },
                                                { "20-gone.conf", "0000:0a:00.0" } };

        m->host.iommu = true;
        host_add(&m->host, "0000:04:00.0", "8086:100e", 0x020000, 7, "e1000");
        host_add(&m->host, "0000:04:01.0", "8086:100e", 0x020000, 7, "e1000");
        host_add(&m->host, "0000:04:02.0", "1af4:1005", 0x00ff00, 7, NULL);
        host_add(&m->host, "0000:03:00.0", "1b36:000e", 0x060400, 7, NULL);
        host_add(&m->host, "0000:05:00.0", "8086:10d3", 0x020000, 8, "e1000e");
        host_add(&m->host, "0000:06:00.0", "1234:1111", 0x030000, -1, "bochs-drm");
        host_add(&m->host, "0001:07:00.0", "10de:2684", 0x030000, 9, "nouveau");
        m->config = config_new();
        for (size_t i = 0; i < G_N_ELEMENTS(files); i++)
                g_assert_cmpint(config_add_rule(m->config, make_rule(files[i][0], MATCH_ADDRESS,
                                                                     files[i][1], TARGET_VFIO)),
                                ==, 0);
        m->state = MANAGER_READY;
        manager_refresh(m);
}

void fixture_add_pf(Fixture *f)
{
        Host *h = &f->manager.host;
        HostDevice *pf = host_add(h, "0000:08:00.0", "8086:10c9", 0x020000, 20, "igb");
        const Step s = { .kind = STEP_SET_NUMVFS, .address = pf->address, .argument = (char *)"2" };

        host_add_sriov(pf, 7, "igbvf", false);
        g_assert_cmpint(host_step(h, &s), ==, 0);
        manager_refresh(&f->manager);
}

void fixture_set_up(Fixture *f, gconstpointer data)
{
        bool root = geteuid() == 0;

        *f = (Fixture){ .mode = MOCK_DENY };
        start_daemon(f);
        g_assert_cmpint(sd_event_new(&f->event), >=, 0);
        f->manager.event = f->event;
        fill_host(&f->manager);
        f->manager.bus = fixture_connect(f, geteuid());
        g_assert_cmpint(bus_register(f->manager.bus, &f->manager, &f->manager.bus_side), >=, 0);
        g_assert_cmpint(sd_bus_request_name(f->manager.bus, VFIOD_BUS_NAME, 0), >=, 0);
        start_polkit(f);
        f->root = root ? fixture_connect(f, 0) : NULL;
        f->nobody = fixture_connect(f, root ? NOBODY : geteuid());
        f->other = root ? fixture_connect(f, ANOTHER) : NULL;
}

void fixture_tear_down(Fixture *f, gconstpointer data)
{
        Manager *m = &f->manager;

        while (m->jobs) {
                Job *j = m->jobs;

                m->jobs = j->next;
                sd_bus_message_unref(j->message);
                free(j->addresses);
                free(j->detail);
                free(j);
        }
        bus_drop_calls(m->bus_side);
        sd_bus_close_unref(f->root);
        sd_bus_close_unref(f->nobody);
        sd_bus_close_unref(f->other);
        sd_bus_close_unref(m->bus);
        sd_bus_close_unref(f->polkit);
        plan_free(m->plan);
        status_table_free(m->status);
        desired_free(m->desired);
        inventory_free(m->inventory);
        origin_table_done(&m->origins);
        use_table_done(&m->uses);
        config_free(m->config);
        sd_event_unref(f->event);
        g_ptr_array_unref(f->questions);
        g_free(f->allowed_address);
        g_assert_cmpint(kill(f->daemon, SIGTERM), ==, 0);
        g_assert_cmpint(waitpid(f->daemon, NULL, 0), ==, f->daemon);
        g_autofree char *config = g_build_filename(f->directory, "bus.conf", NULL);
        g_autofree char *socket = g_build_filename(f->directory, "bus", NULL);
        (void)g_unlink(config);
        (void)g_unlink(socket);
        (void)g_rmdir(f->directory);
        g_free(f->directory);
        g_free(f->address);
}

/* Calls ---------------------------------------------------------------------------------------- */

void fixture_settle(Fixture *f)
{
        while (sd_event_run(f->event, 250 * USEC_PER_MSEC) > 0)
                ;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Answer *a = userdata;

        a->arrived = true;
        a->message = sd_bus_message_ref(m);
        return 0;
}

void fixture_send(sd_bus *client, sd_bus_message *m, Answer *a)
{
        *a = (Answer){ 0 };
        g_assert_cmpint(sd_bus_call_async(client, &a->slot, m, on_answer, a, UINT64_MAX), >=, 0);
}

void fixture_wait(Fixture *f, Answer *a)
{
        for (int i = 0; i < 10000 && !a->arrived; i++)
                g_assert_cmpint(sd_event_run(f->event, 20 * USEC_PER_SEC), >=, 0);
        g_assert_true(a->arrived);
}

void answer_done(Answer *a)
{
        sd_bus_slot_unref(a->slot);
        sd_bus_message_unref(a->message);
}

sd_bus_message *fixture_new_call(sd_bus *client, const char *path, const char *interface,
                                 const char *member)
{
        sd_bus_message *m = NULL;

        g_assert_cmpint(
                sd_bus_message_new_method_call(client, &m, VFIOD_BUS_NAME, path, interface, member),
                >=, 0);
        return m;
}

sd_bus_message *fixture_call(Fixture *f, sd_bus_message *m, sd_bus_error *error)
{
        sd_bus_message *reply = NULL;
        Answer a;

        fixture_send(sd_bus_message_get_bus(m), m, &a);
        fixture_wait(f, &a);
        if (sd_bus_message_is_method_error(a.message, NULL))
                sd_bus_error_copy(error, sd_bus_message_get_error(a.message));
        else
                reply = sd_bus_message_ref(a.message);
        answer_done(&a);
        sd_bus_message_unref(m);
        return reply;
}

const char *fixture_try(Fixture *f, sd_bus *client, const char *member, const char *types, ...)
{
        sd_bus_message *m = fixture_new_call(client, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, member);
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        const char *name;
        va_list ap;

        va_start(ap, types);
        g_assert_cmpint(sd_bus_message_appendv(m, types, ap), >=, 0);
        va_end(ap);
        sd_bus_message_unref(fixture_call(f, m, &error));
        name = g_intern_string(error.name ? error.name : "");
        sd_bus_error_free(&error);
        return name;
}

/* The fake manager ----------------------------------------------------------------------------- */

static void compute(Manager *m, const Config *config, const RequestTable *requests,
                    const Inventory *inv, Desired **desired, Plan **plan)
{
        DriverChoice *choices;

        g_assert_cmpint(desired_compute(config, requests, &m->origins, inv, desired), ==, 0);
        choices = host_choices(inv, *desired, &m->origins);
        g_assert_cmpint(plan_compute(inv, *desired, choices, &m->origins, &m->uses, plan), ==, 0);
        for (size_t i = 0; i < inv->n_devices; i++) {
                free(choices[i].driver);
                free(choices[i].module);
        }
        g_free(choices);
}

void manager_refresh(Manager *m)
{
        const RequestTable none = { 0 };
        Inventory *inv = m->inventory;
        Desired *desired = m->desired;
        Plan *plan = m->plan;
        StatusTable *status = m->status;
        Snapshot before = manager_snapshot(m), after;

        m->inventory = host_inventory(&m->host);
        for (size_t i = 0; i < m->inventory->n_devices; i++)
                m->inventory->devices[i]->boot_vga = m->inventory->devices[i]->group == 9;
        compute(m, m->config, &none, m->inventory, &m->desired, &m->plan);
        g_assert_cmpint(
                status_compute(m->inventory, m->desired, m->plan, false, NULL, NULL, &m->status),
                ==, 0);
        after = manager_snapshot(m);
        bus_emit_changes(m, &before, &after);
        plan_free(plan);
        status_table_free(status);
        desired_free(desired);
        inventory_free(inv);
}

const char *manager_state_to_string(ManagerState s)
{
        return s == MANAGER_READY ? "ready" : "degraded";
}

const char *operation_kind_to_string(OperationKind k)
{
        static const char *const words[] = { "bind", "release", "sriov", "apply" };

        return words[k];
}

const char *job_state_to_string(JobState s)
{
        static const char *const words[] = { "queued", "running",   "done",
                                             "failed", "cancelled", "timeout" };

        return words[s];
}

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
        unsigned n = 0;

        for (size_t i = 0; i < m->status->n_statuses; i++)
                n += m->status->statuses[i].state == s;
        return n;
}

int manager_preview(Manager *m, const Operation *op, Desired **ret_desired, Plan **ret_plan,
                    sd_bus_error *error)
{
        RequestTable requests = { 0 };

        if (op->kind == OPERATION_BIND && streq_ptr(op->driver, "forbidden"))
                return sd_bus_error_set(error, VFIOD_ERROR("DriverNotAllowed"), "no");
        for (size_t i = 0; i < op->n_addresses; i++) {
                const Device *d = inventory_find(m->inventory, &op->addresses[i]);
                Request r = { .address = d->address,
                              .vendor = d->vendor,
                              .device = d->device,
                              .release = op->kind == OPERATION_RELEASE,
                              .target = op->target,
                              .driver = (char *)op->driver,
                              .accept = op->accept,
                              .counts = op->kind == OPERATION_SRIOV,
                              .num_vfs = op->num_vfs };

                g_assert_cmpint(request_table_put(&requests, &r), ==, 0);
        }
        compute(m, m->config, &requests, m->inventory, ret_desired, ret_plan);
        /* Only what is static or belongs to the snapshot outlives the requests here. */
        request_table_done(&requests);
        return 0;
}

int manager_submit(Manager *m, const Operation *op, Job **ret, sd_bus_error *error)
{
        Job *j = g_malloc0(sizeof(Job));

        m->n_submitted++;
        m->kind = op->kind;
        m->n_addresses = op->n_addresses;
        m->target = op->target;
        m->num_vfs = op->num_vfs;
        m->accept = op->accept;
        m->persist = op->persist;
        m->uid = op->uid;
        for (size_t i = 0; i < op->n_addresses; i++)
                m->addresses[i] = op->addresses[i];
        j->manager = m;
        j->id = ++m->last_job;
        j->kind = op->kind;
        j->uid = op->uid;
        j->started_usec = 1;
        j->n_addresses = op->n_addresses;
        j->addresses = calloc(op->n_addresses + 1, sizeof(PciAddress));
        memcpy(j->addresses, m->addresses, op->n_addresses * sizeof(PciAddress));
        j->next = m->jobs;
        m->jobs = j;
        bus_job_new(j);
        *ret = j;
        return 0;
}

void manager_end_job(Job *j, JobState state, Reason reason, const char *detail)
{
        j->state = state;
        j->reason = reason;
        j->detail = detail ? strdup(detail) : NULL;
        bus_job_ended(j);
}

int manager_reload(Manager *m, bool forget)
{
        m->n_reloaded++;
        m->forgot = forget;
        return config_add_diagnostic(m->config, "/etc/vfiod/devices.d/10-nic.conf", 3, 9, true,
                                     "not an address: 'x'");
}

Job *manager_find_job(const Manager *m, uint64_t id)
{
        for (Job *j = m->jobs; j; j = j->next)
                if (j->id == id)
                        return j;
        return NULL;
}

Job *manager_jobs(const Manager *m)
{
        return m->jobs;
}

bool job_is_over(const Job *j)
{
        return j->state >= JOB_DONE;
}

int job_cancel(Job *j)
{
        if (job_is_over(j))
                return -EALREADY;
        if (j->state == JOB_RUNNING)
                return -EBUSY;
        j->manager->n_cancelled++;
        manager_end_job(j, JOB_CANCELLED, REASON_NONE, NULL);
        return 0;
}
