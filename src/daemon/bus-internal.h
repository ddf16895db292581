/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of the bus side share: the context, the table of methods, readers and writers.
 *
 * Every method stands in one list below, from which come its entry in the vtable and its row in
 * the table. READ(interface, Member, …, handler) is open to all. WRITE(interface, Member, …,
 * handler, derive) runs only after polkit_authorize() has allowed all checks that `derive` finds
 * in the message. There is no third way to make a method.
 */

#include "daemon/bus.h"
#include "daemon/polkit.h"

enum {
        BUS_DEVICES_MAX = 4096, /* words in one call */
        BUS_WORD_MAX = 255,     /* bytes of one */
        BUS_QUEUED_MAX = 1024,  /* messages for the bus to take, while signals are sent */
        BUS_ANSWER_MAX = 15000, /* devices in one answer: of 2 KiB; the system bus cuts at 32 MiB */
};

#define NO_ARGS ""

#define MANAGER_METHODS(READ, WRITE)                                                             \
        READ(MANAGER, GetDevice, "s", SD_BUS_PARAM(device), "o", SD_BUS_PARAM(object),           \
             method_get_device)                                                                  \
        READ(MANAGER, GetGroup, "u", SD_BUS_PARAM(number), "o", SD_BUS_PARAM(object),            \
             method_get_group)                                                                   \
        READ(MANAGER, ListDevices, "a{sv}t", SD_BUS_PARAM(filter) SD_BUS_PARAM(flags), "aa{sv}", \
             SD_BUS_PARAM(devices), method_list_devices)                                         \
        READ(MANAGER, ListGroups, "a{sv}t", SD_BUS_PARAM(filter) SD_BUS_PARAM(flags), "aa{sv}",  \
             SD_BUS_PARAM(groups), method_list_groups)                                           \
        WRITE(MANAGER, Bind, "assta{sv}",                                                        \
              SD_BUS_PARAM(devices) SD_BUS_PARAM(driver) SD_BUS_PARAM(flags)                     \
                      SD_BUS_PARAM(options),                                                     \
              "oaa{sv}", SD_BUS_PARAM(job) SD_BUS_PARAM(results), method_operation,              \
              derive_operation)                                                                  \
        WRITE(MANAGER, Release, "asta{sv}",                                                      \
              SD_BUS_PARAM(devices) SD_BUS_PARAM(flags) SD_BUS_PARAM(options), "oaa{sv}",        \
              SD_BUS_PARAM(job) SD_BUS_PARAM(results), method_operation, derive_operation)       \
        WRITE(MANAGER, SetVirtualFunctions, "suta{sv}",                                          \
              SD_BUS_PARAM(pf) SD_BUS_PARAM(count) SD_BUS_PARAM(flags) SD_BUS_PARAM(options),    \
              "oaa{sv}", SD_BUS_PARAM(job) SD_BUS_PARAM(results), method_operation,              \
              derive_operation)                                                                  \
        READ(MANAGER, Plan, "ta{sv}", SD_BUS_PARAM(flags) SD_BUS_PARAM(options), "aa{sv}",       \
             SD_BUS_PARAM(steps), method_plan)                                                   \
        WRITE(MANAGER, Apply, "ta{sv}", SD_BUS_PARAM(flags) SD_BUS_PARAM(options), "oaa{sv}",    \
              SD_BUS_PARAM(job) SD_BUS_PARAM(results), method_operation, derive_operation)       \
        WRITE(MANAGER, Reload, "t", SD_BUS_PARAM(flags), "aa{sv}", SD_BUS_PARAM(diagnostics),    \
              method_reload, derive_reload)                                                      \
        READ(MANAGER, Explain, "s", SD_BUS_PARAM(device), "a{sv}", SD_BUS_PARAM(explanation),    \
             method_explain)

#define JOB_METHODS(READ, WRITE) \
        WRITE(JOB, Cancel, "", NO_ARGS, "", NO_ARGS, method_cancel, derive_cancel)

/* The entries of a vtable, made from a list of methods. */
#define VTABLE_READ(interface, member, in, in_names, out, out_names, run)                    \
        SD_BUS_METHOD_WITH_NAMES(#member, in, in_names, out, out_names, bus_dispatch_method, \
                                 SD_BUS_VTABLE_UNPRIVILEGED),
#define VTABLE_WRITE(interface, member, in, in_names, out, out_names, run, derive) \
        VTABLE_READ(interface, member, in, in_names, out, out_names, run)

/* Token buckets. The table is bounded: the one seen longest ago makes room. */
enum {
        LIMITER_ENTRIES_MAX = 512,
        LIMITER_CREDIT = 8000, /* objects in answers at once, and in a second in the long run */
};

typedef struct LimiterEntry {
        char key[32];  /* a unique name (":1.42"), or a uid */
        uint64_t usec; /* CLOCK_MONOTONIC, of the last refill */
        uint64_t credit;
} LimiterEntry;

typedef struct Limiter {
        LimiterEntry entries[LIMITER_ENTRIES_MAX];
} Limiter;

/*
 * Whether this one may have an answer of so many objects now; takes it from its credit. What costs
 * more than all credit that there may be is let through when that is there.
 */
bool limiter_take(Limiter *l, const char *key, size_t objects, uint64_t now);

/* The fields of one object, kept. */
typedef struct Description {
        Field fields[64]; /* own their strings */
        size_t n_fields;
        size_t next; /* the one that is likely to be asked for next */
} Description;

void description_done(Description *d);

/* A field_handler_t whose userdata is a Description. */
_must_check_ int description_keep_field(const Field *f, void *userdata);

/* An expensive call that is not answered yet (bus-limit.c). */
typedef struct Waiting Waiting;

/* An object whose change clients have not been told yet (bus-signals.c). */
typedef struct Dirty Dirty;

struct Bus {
        Manager *manager;
        sd_bus *bus; /* weak: it owns this */
        Polkit *polkit;
        Limiter senders, users;
        Waiting *waiting;
        size_t n_waiting;
        sd_bus_message *admitted; /* to be let through when it comes again */
        uint64_t admitted_usec;
        sd_event_source *turn;
        Dirty *dirty; /* sorted, each object once */
        size_t n_dirty;
        bool manager_dirty;
        sd_event_source *signals;
        /* The object that sd-bus looked up last: it does so each time before it calls getters. */
        Description found;
};

/*
 * Sees every message before it is dispatched. 0: go on with it; 1: it comes again later, or is
 * answered then; negative: refused, with `error` set.
 */
int bus_limit(sd_bus_message *m, void *userdata, sd_bus_error *error);
void bus_drop_waiting(Bus *b);

/* Whether more than `n` messages wait for the bus to take them. */
bool bus_has_queued(sd_bus *bus, uint64_t n);

/* Lets `f` run in so many microseconds, once, with the Bus as userdata, instead of before. */
_must_check_ int bus_arm(Bus *b, sd_event_source **timer, uint64_t usec, int64_t priority,
                         sd_event_time_handler_t f);

/* Who calls, as the dispatcher found out. A handler that changes something checks `authorised`. */
typedef struct Caller {
        bool authorised;
        uint32_t uid; /* UINT32_MAX for callers of reading methods */
} Caller;

/* Fills the reply. -EINPROGRESS: that is not sent, the message is answered already, or later. */
typedef int method_run_t(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_message *reply,
                         sd_bus_error *error);
typedef int method_derive_t(Bus *b, sd_bus_message *m, CheckList *checks, sd_bus_error *error);

typedef struct MethodRow {
        const char *interface;
        const char *member; /* no two methods share a name */
        method_run_t *run;
        method_derive_t *derive; /* NULL: open to all */
} MethodRow;

/* Ends with a row of NULL. */
extern const MethodRow bus_method_rows[];

/* The handler of every method: finds its row and obeys it. */
int bus_dispatch_method(sd_bus_message *m, void *userdata, sd_bus_error *error);

#define READ(interface, member, in, in_names, out, out_names, run) method_run_t run;
#define WRITE(interface, member, in, in_names, out, out_names, run, derive) \
        method_run_t run;                                                   \
        method_derive_t derive;
MANAGER_METHODS(READ, WRITE)
JOB_METHODS(READ, WRITE)
#undef READ
#undef WRITE

#define CONSTANT(name, signature) \
        SD_BUS_PROPERTY(name, signature, property_get, 0, SD_BUS_VTABLE_PROPERTY_CONST)
#define CHANGING(name, signature) \
        SD_BUS_PROPERTY(name, signature, property_get, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)

extern const sd_bus_vtable bus_manager_vtable[];
extern const sd_bus_vtable bus_device_vtable[];
extern const sd_bus_vtable bus_pf_vtable[];
extern const sd_bus_vtable bus_vf_vtable[];
extern const sd_bus_vtable bus_group_vtable[];
extern const sd_bus_vtable bus_job_vtable[];
extern const sd_bus_vtable bus_log_control_vtable[];

#define LOG_CONTROL_PATH "/org/freedesktop/LogControl1"
#define LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

/* The vtables, finders and enumerators of devices and groups, and of jobs. */
_must_check_ int bus_register_objects(Bus *b);
_must_check_ int bus_register_jobs(Bus *b);

/* One of ours on an object. `describe` answers -ENOENT for an object that does not have it. */
typedef struct ObjectInterface {
        const char *name;
        const sd_bus_vtable *vtable;
        int (*describe)(const Snapshot *s, uint64_t key, field_handler_t f, void *userdata);
} ObjectInterface;

enum { INTERFACES_MAX = 3 };

typedef struct ObjectKind {
        const char *prefix;
        ObjectInterface interfaces[INTERFACES_MAX + 1]; /* the first is always there */
        size_t (*count)(const Snapshot *s);
        uint64_t (*key)(const Snapshot *s, size_t i);
        int (*make_path)(uint64_t key, char **ret);
        int (*read_path)(const char *path, uint64_t *ret);
        sd_bus_node_enumerator_t enumerate;
        /* Whether nothing at all has changed, without a description; false if in doubt. */
        bool (*is_same)(const Snapshot *before, size_t b, const Snapshot *after, size_t a);
} ObjectKind;

enum { KIND_DEVICE, KIND_GROUP, _KIND_MAX };

extern const ObjectKind bus_object_kinds[_KIND_MAX];

/* The manager's bus; NULL if there is none to send to. */
sd_bus *bus_get_ready(const Manager *m);

/* Newly allocated. The reader answers -EINVAL for any path that the maker does not make. */
_must_check_ int bus_device_path(const PciAddress *a, char **ret);
_must_check_ int bus_number_path(const char *prefix, uint64_t number, char **ret);
_must_check_ int bus_number_from_path(const char *prefix, const char *path, uint64_t *ret);

/* Makes its message one that sd-bus takes: else the call would get no answer at all. */
void bus_mend_error(sd_bus_error *error);

/* The value alone, as in a property. */
_must_check_ int bus_append_value(sd_bus_message *m, const Field *f);

/* A field_handler_t whose userdata is an sd_bus_message: one entry of an a{sv}. */
_must_check_ int bus_append_field(const Field *f, void *userdata);
_must_check_ int bus_open_dict(sd_bus_message *m);

/*
 * The answer to GetManagedObjects, an a{oa{sa{sv}}}: entries of one object, and in them of one
 * interface with an open a{sv}; and all entries of devices and groups, and of jobs.
 */
_must_check_ int bus_open_object(sd_bus_message *m, const char *path);
_must_check_ int bus_open_interface(sd_bus_message *m, const char *name);
_must_check_ int bus_close_entry(sd_bus_message *m); /* of either */
_must_check_ int bus_append_objects(const Bus *b, sd_bus_message *m);
_must_check_ int bus_append_jobs(const Bus *b, sd_bus_message *m);

/* One key that a method's a{sv} may have: the field's name and type, then its value. */
typedef struct BusOption {
        Field field; /* STRING (weak: lives as long as the message), INT or STRV (owned) */
        bool given;
} BusOption;

void bus_options_done(BusOption *options, size_t n);

/* InvalidArgs on unknown and repeated keys, wrong types and values past the limits. */
_must_check_ int bus_read_options(sd_bus_message *m, BusOption *options, size_t n,
                                  sd_bus_error *error);

/* InvalidArgs on any bit that is not in `known`. */
_must_check_ int bus_read_flags(sd_bus_message *m, uint64_t known, uint64_t *ret,
                                sd_bus_error *error);

/* An array of device words to the addresses of devices, sorted, each once. */
_must_check_ int bus_read_devices(sd_bus_message *m, const Inventory *inv, PciAddress **ret,
                                  size_t *ret_n, sd_bus_error *error);

/* One device or declared place: an address in either form, with or without "pci:", or PF/vfN. */
_must_check_ int bus_read_device(sd_bus_message *m, const Snapshot *s, PciAddress *ret,
                                 sd_bus_error *error);

bool field_equal(const Field *a, const Field *b);

/* Whether `a` is among sorted addresses. */
bool addresses_contain(const PciAddress *addresses, size_t n, const PciAddress *a);

/* Answers a waiting caller of a job that is over. */
void bus_answer_job(Job *j, sd_bus_message *m);

/* Adds a check for each of an operation's groups (bus-details.c tells which). */
_must_check_ int bus_add_unit_checks(const Snapshot *s, const Operation *op, CheckList *checks);

/* Every step and refusal of the plan's units that concern the operation (NULL: of all). */
_must_check_ int bus_append_plan(sd_bus_message *m, const Plan *plan, const Operation *op);

/*
 * -EACCES with an error of one line per refusal, "ADDRESS: refused: HAZARD: sentence (remedy)", if
 * units that concern the operation (NULL: any) are refused; 0 if none is.
 */
_must_check_ int bus_check_refusals(const Plan *plan, const Operation *op, sd_bus_error *error);
