/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.vfiod1.Job: the objects of operations under way, their signals, and the late replies. */

#include "basic/names.h"
#include "daemon/bus-internal.h"

#include <inttypes.h>

static Job *find_job(const Bus *b, const char *path)
{
        uint64_t id;

        if (bus_number_from_path(VFIOD_JOB_PREFIX, path, &id) < 0)
                return NULL;
        return manager_find_job(b->manager, id);
}

static int enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                     sd_bus_error *error)
{
        const Bus *b = userdata;
        _cleanup_strv_ char **nodes = NULL;
        int r;

        for (const Job *j = manager_jobs(b->manager); j; j = j->next) {
                r = strv_extendf(&nodes, VFIOD_JOB_PREFIX "/%" PRIu64, j->id);
                if (r < 0)
                        return r;
        }
        *ret_nodes = TAKE_PTR(nodes);
        return 0;
}

static const char *job_sentence(const Job *j)
{
        return j->detail ? j->detail : reason_row(j->reason)->sentence;
}

static int describe_job(const Job *j, field_handler_t f, void *userdata)
{
        _cleanup_strv_ char **devices = NULL;
        int r = 0;

        for (size_t i = 0; i < j->n_addresses && r >= 0; i++)
                r = strv_extend(&devices, PCI_ADDRESS_STR(&j->addresses[i]));

        const Field fields[] = {
                { .name = "Id", .type = FIELD_UINT64, .number = (int64_t)j->id },
                { .name = "Kind", .string = operation_kind_to_string(j->kind) },
                { .name = "State", .string = job_state_to_string(j->state) },
                { .name = "Devices", .type = FIELD_STRV, .strv = devices },
                { .name = "RequesterUID", .type = FIELD_UINT, .number = j->uid },
                { .name = "Started", .type = FIELD_UINT64, .number = (int64_t)j->started_usec },
                { .name = "Reason", .string = reason_to_string(j->reason) },
                { .name = "Sentence", .string = job_sentence(j) },
        };

        for (size_t i = 0; i < ELEMENTSOF(fields) && r >= 0; i++)
                r = f(&fields[i], userdata);
        return r;
}

/* As for other objects: bus-object.c. */
static int find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                void **ret_found, sd_bus_error *error)
{
        Bus *b = userdata;
        const Job *j = find_job(b, path);

        description_done(&b->found);
        if (!j || describe_job(j, description_keep_field, &b->found) < 0)
                return 0;
        *ret_found = b;
        return 1;
}

int bus_register_jobs(Bus *b)
{
        int r;

        r = sd_bus_add_fallback_vtable(b->bus, NULL, VFIOD_JOB_PREFIX, VFIOD_JOB_INTERFACE,
                                       bus_job_vtable, find, b);
        return r < 0 ? r : sd_bus_add_node_enumerator(b->bus, NULL, VFIOD_JOB_PREFIX, enumerate, b);
}

int bus_append_jobs(const Bus *b, sd_bus_message *m)
{
        int r = 0;

        for (const Job *j = manager_jobs(b->manager); r >= 0 && j; j = j->next) {
                _cleanup_free_ char *path = NULL;

                r = bus_number_path(VFIOD_JOB_PREFIX, j->id, &path);
                if (r >= 0)
                        r = bus_open_object(m, path);
                if (r >= 0)
                        r = bus_open_interface(m, VFIOD_JOB_INTERFACE);
                if (r >= 0)
                        r = describe_job(j, bus_append_field, m);
                if (r >= 0)
                        r = bus_close_entry(m);
                if (r >= 0)
                        r = bus_close_entry(m);
        }
        return r;
}

/* The requester's own uid may take its job back; for anybody else that is administration. */
int derive_cancel(Bus *b, sd_bus_message *m, CheckList *checks, sd_bus_error *error)
{
        const Job *j = find_job(b, sd_bus_message_get_path(m));

        if (!j)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "The job is gone");
        checks->has_owner = true;
        checks->owner = j->uid;
        return check_list_add(checks, POLKIT_ACTION_CONFIGURE, NULL);
}

int method_cancel(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                  sd_bus_error *error)
{
        Job *j = find_job(b, sd_bus_message_get_path(m));
        int r;

        if (!caller->authorised)
                return -EACCES;
        if (!j)
                return sd_bus_error_set(error, SD_BUS_ERROR_UNKNOWN_OBJECT, "The job is gone");
        r = job_cancel(j);
        if (r == -EBUSY)
                return sd_bus_error_set(error, VFIOD_ERROR("DeviceBusy"),
                                        "The job has begun: a write into the kernel cannot be "
                                        "called back (release the devices afterwards)");
        if (r == -EALREADY)
                return sd_bus_error_set(error, SD_BUS_ERROR_FAILED, "The job is over");
        return r;
}

/* Where the job's signals go, and its path; NULL: nowhere. */
static sd_bus *job_bus(const Job *j, char **ret_path)
{
        sd_bus *bus = bus_get_ready(j->manager);

        return bus && !bus_has_queued(bus, BUS_QUEUED_MAX) &&
                               bus_number_path(VFIOD_JOB_PREFIX, j->id, ret_path) >= 0
                       ? bus
                       : NULL;
}

/* Signals are a convenience: what a lost one would have said is in the properties. */
void bus_job_new(Job *j)
{
        _cleanup_free_ char *path = NULL;
        sd_bus *bus = job_bus(j, &path);

        if (!bus)
                return;
        (void)sd_bus_emit_interfaces_added(bus, path, VFIOD_JOB_INTERFACE, NULL);
        (void)sd_bus_emit_signal(bus, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "JobNew", "to", j->id,
                                 path);
}

void bus_job_changed(Job *j)
{
        _cleanup_free_ char *path = NULL;
        sd_bus *bus = job_bus(j, &path);

        if (bus)
                (void)sd_bus_emit_properties_changed(bus, path, VFIOD_JOB_INTERFACE, "State",
                                                     "Reason", "Sentence", NULL);
}

void bus_job_ended(Job *j)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = TAKE_PTR(j->message);

        bus_job_changed(j);
        if (m)
                bus_answer_job(j, m);
}

void bus_job_removed(Job *j)
{
        _cleanup_free_ char *path = NULL;
        sd_bus *bus = job_bus(j, &path);

        if (!bus)
                return;
        (void)sd_bus_emit_signal(bus, VFIOD_PATH, VFIOD_MANAGER_INTERFACE, "JobRemoved", "tos",
                                 j->id, path, job_state_to_string(j->state));
        (void)sd_bus_emit_interfaces_removed(bus, path, VFIOD_JOB_INTERFACE, NULL);
}

bool job_concerns(const Job *j, const PciAddress *a)
{
        const Device *d = j->kind == OPERATION_SRIOV
                                  ? inventory_find(manager_snapshot(j->manager).inventory, a)
                                  : NULL;

        return addresses_contain(j->addresses, j->n_addresses, d && d->is_vf ? &d->pf : a);
}

/* The device that a failed job is about: the first of its own, or of all, with that reason. */
static const PciAddress *failed_device(const Job *j)
{
        Snapshot s = manager_snapshot(j->manager);

        for (size_t i = 0; s.status && i < s.status->n_statuses; i++) {
                const DeviceStatus *d = &s.status->statuses[i];

                if (d->reason == j->reason && (j->n_addresses == 0 || job_concerns(j, &d->address)))
                        return &d->address;
        }
        return j->n_addresses > 0 ? &j->addresses[0] : NULL;
}

static const char *outcome_word(const Job *j)
{
        if (j->state == JOB_TIMEOUT)
                return "stuck";
        return streq(reason_row(j->reason)->dbus_error, VFIOD_ERROR("Refused")) ? "refused"
                                                                                : "failed";
}

static int set_error(const Job *j, const char *name, sd_bus_error *error)
{
        const PciAddress *a = failed_device(j);
        const char *remedy = reason_row(j->reason)->remedy;

        return sd_bus_error_setf(error, name, "%s%s%s: %s: %s%s%s%s", a ? PCI_ADDRESS_STR(a) : "",
                                 a ? ": " : "", outcome_word(j), reason_to_string(j->reason),
                                 job_sentence(j), isempty(remedy) ? "" : " (", remedy,
                                 isempty(remedy) ? "" : ")");
}

static int set_failed(const Job *j, sd_bus_error *error)
{
        const char *name = reason_row(j->reason)->dbus_error;
        Snapshot s = manager_snapshot(j->manager);
        int r = 0;

        /* What an Apply could not do since it is refused: all of it, not only the first. */
        if (j->kind == OPERATION_APPLY && streq(name, VFIOD_ERROR("Refused")) && s.plan)
                r = bus_check_refusals(s.plan, NULL, error);
        if (r < 0)
                return r;
        if (j->reason == REASON_NONE)
                return sd_bus_error_set(error, SD_BUS_ERROR_FAILED,
                                        j->detail ? j->detail : "The job failed");
        return set_error(j, isempty(name) ? SD_BUS_ERROR_FAILED : name, error);
}

static int append_results(const Job *j, sd_bus_message *reply)
{
        Snapshot s = manager_snapshot(j->manager);
        int r;

        r = sd_bus_message_open_container(reply, 'a', "a{sv}");
        for (size_t i = 0; r >= 0 && s.status && i < s.status->n_statuses; i++) {
                const PciAddress *a = &s.status->statuses[i].address;

                if (!job_concerns(j, a))
                        continue;
                r = bus_open_dict(reply);
                if (r >= 0)
                        r = describe_explanation(&s, a, bus_append_field, reply);
                if (r >= 0)
                        r = sd_bus_message_close_container(reply);
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int answer_done(const Job *j, sd_bus_message *m)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_number_path(VFIOD_JOB_PREFIX, j->id, &path);
        if (r >= 0)
                r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_append(reply, "o", path);
        if (r >= 0)
                r = append_results(j, reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

static int answer(const Job *j, sd_bus_message *m, sd_bus_error *error)
{
        switch (j->state) {
        case JOB_DONE:
                return answer_done(j, m);
        case JOB_CANCELLED:
                return sd_bus_error_setf(error, VFIOD_ERROR("JobCancelled"),
                                         "Job %" PRIu64 " was cancelled", j->id);
        case JOB_TIMEOUT:
                return set_error(j, VFIOD_ERROR("JobTimeout"), error);
        default:
                return set_failed(j, error);
        }
}

void bus_answer_job(Job *j, sd_bus_message *m)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r = answer(j, m, &error);

        if (r >= 0)
                return;
        bus_mend_error(&error);
        (void)sd_bus_reply_method_errno(m, r, &error);
}
