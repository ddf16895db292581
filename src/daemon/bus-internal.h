/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of the bus side share: the context, the table of methods, the interfaces.
 *
 * Every method stands in one list below, from which come its entry in the vtable, its row in the
 * table and its place in an enum. READ(interface, Member, …, handler) is open to all.
 * WRITE(interface, Member, …, handler, derive) runs only after polkit_authorize() has allowed all
 * checks that `derive` finds in the message. There is no third way to make a method.
 */

#include <systemd/sd-bus.h>

#include "daemon/bus-util.h"
#include "daemon/bus.h"
#include "daemon/polkit.h"

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
              "oaa{sv}", SD_BUS_PARAM(job) SD_BUS_PARAM(results), method_bind, derive_bind)      \
        WRITE(MANAGER, Release, "asta{sv}",                                                      \
              SD_BUS_PARAM(devices) SD_BUS_PARAM(flags) SD_BUS_PARAM(options), "oaa{sv}",        \
              SD_BUS_PARAM(job) SD_BUS_PARAM(results), method_release, derive_release)           \
        READ(MANAGER, Plan, "ta{sv}", SD_BUS_PARAM(flags) SD_BUS_PARAM(options), "aa{sv}",       \
             SD_BUS_PARAM(steps), method_plan)                                                   \
        WRITE(MANAGER, Apply, "ta{sv}", SD_BUS_PARAM(flags) SD_BUS_PARAM(options), "oaa{sv}",    \
              SD_BUS_PARAM(job) SD_BUS_PARAM(results), method_apply, derive_apply)               \
        WRITE(MANAGER, Reload, "t", SD_BUS_PARAM(flags), "aa{sv}", SD_BUS_PARAM(diagnostics),    \
              method_reload, derive_reload)                                                      \
        READ(MANAGER, Explain, "s", SD_BUS_PARAM(device), "a{sv}", SD_BUS_PARAM(explanation),    \
             method_explain)

#define JOB_METHODS(READ, WRITE) \
        WRITE(JOB, Cancel, "", NO_ARGS, "", NO_ARGS, method_cancel, derive_cancel)

#define METHOD_ID(interface, member) METHOD_##interface##_##member

typedef enum MethodId {
#define READ(interface, member, in, in_names, out, out_names, run) METHOD_ID(interface, member),
#define WRITE(interface, member, in, in_names, out, out_names, run, derive) \
        METHOD_ID(interface, member),
        MANAGER_METHODS(READ, WRITE) JOB_METHODS(READ, WRITE)
#undef READ
#undef WRITE
                _METHOD_MAX,
} MethodId;

/* The entries of a vtable, made from a list of methods. */
#define VTABLE_READ(interface, member, in, in_names, out, out_names, run) \
        SD_BUS_METHOD_WITH_NAMES(#member, in, in_names, out, out_names,   \
                                 bus_call_##interface##_##member, SD_BUS_VTABLE_UNPRIVILEGED),
#define VTABLE_WRITE(interface, member, in, in_names, out, out_names, run, derive) \
        VTABLE_READ(interface, member, in, in_names, out, out_names, run)

/* A token bucket per sender. The table is bounded: the one seen longest ago makes room. */
enum {
        LIMITER_SENDERS_MAX = 64,
        LIMITER_BURST = 8,      /* expensive calls at once */
        LIMITER_PER_SECOND = 8, /* and in the long run */
        LIMITER_OBJECTS = 4000, /* so many objects make a call cost one more */
};

typedef struct LimiterEntry {
        char sender[32]; /* unique names: ":1.42" */
        uint64_t usec;   /* CLOCK_MONOTONIC, of the last refill */
        uint64_t credit; /* in millionths of a call */
} LimiterEntry;

typedef struct Limiter {
        LimiterEntry entries[LIMITER_SENDERS_MAX];
} Limiter;

/*
 * Whether this sender may make one more expensive call now; takes it from its credit. The cost is
 * in calls; what costs more than a whole burst is let through when the burst is.
 */
bool limiter_take(Limiter *l, const char *sender, unsigned cost, uint64_t now);

/*
 * The fields of the object that properties were last asked of. GetAll and GetManagedObjects
 * call a getter per property: for them each object is described once only. It serves only within
 * the dispatch of one such message, in which nothing can change.
 */
typedef struct FieldCache {
        bool enabled; /* the message now dispatched only reads */
        char *path;
        Field fields[64];
        size_t offsets[64]; /* of a field's first text */
        size_t n_fields;
        char *texts;
        size_t n_texts, n_allocated;
} FieldCache;

typedef struct Bus {
        sd_bus *bus; /* weak: the context lives as long as its filter's slot */
        Manager *manager;
        Polkit *polkit;
        Limiter limiter;
        FieldCache cache;
        sd_event_source *exit;
} Bus;

/* Who calls, as the dispatcher found out. A handler that changes something checks `authorised`. */
typedef struct Caller {
        bool authorised;
        uint32_t uid; /* UINT32_MAX for callers of reading methods */
} Caller;

typedef int (*method_run_t)(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error);
typedef int (*method_derive_t)(Bus *b, sd_bus_message *m, CheckList *checks, sd_bus_error *error);

typedef struct MethodRow {
        const char *interface;
        const char *member;
        method_run_t run;
        method_derive_t derive; /* NULL: open to all */
} MethodRow;

extern const MethodRow bus_method_rows[_METHOD_MAX];

#define READ(interface, member, in, in_names, out, out_names, run)                               \
        int bus_call_##interface##_##member(sd_bus_message *m, void *userdata, sd_bus_error *e); \
        int run(Bus *b, sd_bus_message *m, const Caller *caller, sd_bus_error *error);
#define WRITE(interface, member, in, in_names, out, out_names, run, derive) \
        READ(interface, member, in, in_names, out, out_names, run)          \
        int derive(Bus *b, sd_bus_message *m, CheckList *checks, sd_bus_error *error);
MANAGER_METHODS(READ, WRITE)
JOB_METHODS(READ, WRITE)
#undef READ
#undef WRITE

extern const sd_bus_vtable bus_manager_vtable[];
extern const sd_bus_vtable bus_device_vtable[];
extern const sd_bus_vtable bus_group_vtable[];
extern const sd_bus_vtable bus_job_vtable[];
extern const sd_bus_vtable bus_log_control_vtable[];

#define LOG_CONTROL_PATH "/org/freedesktop/LogControl1"
#define LOG_CONTROL_INTERFACE "org.freedesktop.LogControl1"

/* Finders answer with the Bus itself: handlers and getters look the object up by its path. */
int bus_device_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                    void **ret_found, sd_bus_error *error);
int bus_group_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                   void **ret_found, sd_bus_error *error);
int bus_job_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                 void **ret_found, sd_bus_error *error);
int bus_device_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                         sd_bus_error *error);
int bus_group_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                        sd_bus_error *error);
int bus_job_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret_nodes,
                      sd_bus_error *error);

/* Describes the object at a path; negative errno if it is not there. */
typedef int (*describe_path_t)(const Snapshot *s, const char *path, field_handler_t f,
                               void *userdata);

/* Appends the field `property` of an object to `reply`. */
_must_check_ int bus_append_property(Bus *b, const char *path, const char *property,
                                     describe_path_t describe, sd_bus_message *reply);
void field_cache_done(FieldCache *c);

/* Answers a waiting caller of a job that is over. */
void bus_answer_job(Job *j, sd_bus_message *m);

/* Adds a check for each of an operation's groups (bus-operation.c tells which). */
_must_check_ int bus_add_unit_checks(const Snapshot *s, const Operation *op, CheckList *checks);

/* Every step and refusal of the plan's units that concern the operation (NULL: of all). */
_must_check_ int bus_append_plan(DictWriter *w, const Plan *plan, const Operation *op);

/*
 * -EACCES with an error of one line per refusal, "ADDRESS: refused: HAZARD: sentence (remedy)", if
 * units that concern the operation (NULL: any) are refused; 0 if none is.
 */
_must_check_ int bus_check_refusals(const Plan *plan, const Operation *op, sd_bus_error *error);
