/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One description of each kind of object, as named fields. D-Bus properties, dictionaries in
 * replies and vfioctl's JSON are all made from it, so they cannot differ.
 * "Nothing" is the empty string or a negative number; in JSON both are null.
 */

#include "model/status.h"

typedef enum FieldType {
        FIELD_STRING, /* s */
        FIELD_BOOL,   /* b */
        FIELD_INT,    /* i */
        FIELD_UINT,   /* u */
        FIELD_UINT64, /* t */
        FIELD_STRV,   /* as */
} FieldType;

typedef struct Field {
        const char *name; /* D-Bus name: NUMANode; JSON has it in snake case: numa_node */
        FieldType type;
        const char *string;
        int64_t number;
        char *const *strv;
} Field;

/* Negative: stop and return that. */
typedef int (*field_handler_t)(const Field *f, void *userdata);

/* All that is known at one moment. The parts are weak. */
typedef struct Snapshot {
        const Inventory *inventory;
        const Desired *desired;
        const Plan *plan;
        const StatusTable *status;
        const OriginTable *origins;
} Snapshot;

/* -ENOENT if the address is neither a device nor a declared place. */
_must_check_ int describe_device(const Snapshot *s, const PciAddress *address, field_handler_t f,
                                 void *userdata);
_must_check_ int describe_group(const Snapshot *s, int number, field_handler_t f, void *userdata);

/* A device as a PF or a VF; -ENOENT if it is not one. */
_must_check_ int describe_pf(const Snapshot *s, const PciAddress *address, field_handler_t f,
                             void *userdata);
_must_check_ int describe_vf(const Snapshot *s, const PciAddress *address, field_handler_t f,
                             void *userdata);

/* Unit, Device, Kind, Argument, Why, Undo, Reason, … : one call of `begin` before each step. */
_must_check_ int describe_step(const Unit *u, const Step *step, field_handler_t f, void *userdata);
_must_check_ int describe_refusal(const Unit *u, const Refusal *refusal, field_handler_t f,
                                  void *userdata);

/* Device, State, Reason, Sentence, Fact, Remedy, Rule, Target, Driver, Group, GroupMembers, … */
_must_check_ int describe_explanation(const Snapshot *s, const PciAddress *address,
                                      field_handler_t f, void *userdata);

/* NUMANode → numa_node, TotalVFs → total_vfs; newly allocated, NULL: out of memory. */
char *field_json_name(const char *name);
