/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files say. Filled by src/config/, read by everything else. */

#include "basic/strv.h"
#include "model/address.h"
#include "model/reason.h"
#include "model/vf.h"

typedef enum MatchKey {
        MATCH_ADDRESS,
        MATCH_ID,
        MATCH_SUBSYSTEM_ID,
        MATCH_CLASS,
        MATCH_DRIVER,
        MATCH_PATH,
        MATCH_SLOT,
        MATCH_SERIAL_NUMBER,
        MATCH_MAC_ADDRESS,
        MATCH_PHYSICAL_FUNCTION,
        MATCH_VIRTUAL_FUNCTION,
        MATCH_NUMA_NODE,
        _MATCH_KEY_MAX,
} MatchKey;

const char *match_key_to_string(MatchKey k); /* "Address", … */
int match_key_from_string(const char *s);    /* -EINVAL */

/*
 * Per key a list of patterns: any may match, a leading '!' negates (such a pattern must not
 * match; a key with only negated patterns matches all else). Values are normalised by the
 * parser: addresses long and lower case, ids "8086:10c9", classes hexadecimal without 0x, MAC
 * addresses lower case, serial numbers "00-1b-21-ff-ff-00-00-01", VF indices "0-3" or "6".
 * Patterns with * ? [ are globs for fnmatch() over the value's text.
 */
typedef struct Match {
        char **patterns[_MATCH_KEY_MAX];
        int expect; /* exactly so many devices, -1: any number */
} Match;

typedef enum TargetKind {
        TARGET_UNMANAGED,
        TARGET_VFIO,   /* the best VFIO driver for the device */
        TARGET_DRIVER, /* a driver by name */
        TARGET_HOST,   /* any host driver, not a VFIO one */
        TARGET_NONE,   /* no driver */
        _TARGET_KIND_MAX,
} TargetKind;

/* "vfio", "host", "none" or a driver's name: kind in `ret`. -EINVAL if it can be no driver name. */
_must_check_ int target_kind_parse(const char *s, TargetKind *ret);

/* The other way round: "" for TARGET_UNMANAGED. */
const char *target_kind_word(TargetKind kind, const char *driver);

typedef enum GroupPolicy {
        GROUP_WHOLE,
        GROUP_STRICT,
} GroupPolicy;

typedef struct Access {
        bool has_uid, has_gid, has_mode;
        uint32_t uid, gid, mode;
} Access;

enum { VF_COUNT_MAX = 65535 }; /* VirtualFunctions=max: as many as the PF can have */

typedef struct VfRange {
        unsigned first, last;
} VfRange;

/* One section [VirtualFunction]. */
typedef struct VfSection {
        VfRange *ranges;   /* Index=, ascending and apart */
        size_t n_ranges;   /* 0: all VFs */
        TargetKind target; /* TARGET_UNMANAGED: the section has no Driver= */
        char *driver;
        VfSettings settings; /* the MAC address is that of the first VF of the ranges */
} VfSection;

/* One file of devices.d. Counted: a new Config shares the last good content of a bad file. */
typedef struct Rule {
        unsigned n_ref;
        char *name; /* basename, e.g. 10-gpu.conf: unique */
        char *path; /* as the user knows it, for messages */
        Match match;
        TargetKind target;
        char *driver; /* if TARGET_DRIVER */
        GroupPolicy group_policy;
        HazardSet accept;
        Access access;
        bool has_sriov;
        unsigned num_vfs; /* VirtualFunctions= */
        VfSection *vfs;   /* in the order of the file and its drop-ins */
        size_t n_vfs;
} Rule;

Rule *rule_new(const char *name, const char *path);
Rule *rule_ref(Rule *r);
Rule *rule_unref(Rule *r);
DEFINE_CLEANUP_FUNC(Rule *, rule_unref);

/* Whether the section is about this VF; `ret_position` (may be NULL): its place in the ranges. */
bool vf_section_has(const VfSection *s, unsigned index, unsigned *ret_position);

/* What the sections say of a VF: the last that says something wins. */
VfSettings rule_vf_settings(const Rule *r, unsigned index);

/* Its driver, TARGET_UNMANAGED if no section gives it one. `ret_driver` belongs to the rule. */
TargetKind rule_vf_target(const Rule *r, unsigned index, const char **ret_driver);

/* A sentence about a place in a file. */
typedef struct Diagnostic {
        char *path;
        unsigned line, column; /* from 1; 0: the file as a whole */
        bool error;            /* else a warning */
        char *message;
} Diagnostic;

typedef struct DaemonSettings {
        uint64_t startup_timeout_usec; /* StartupTimeoutSec=30s */
        uint64_t write_timeout_usec;   /* WriteTimeoutSec=30s */
        uint64_t retry_max_usec;       /* RetryMaxSec=5min */
        unsigned max_workers;          /* MaxWorkers=4 */
        unsigned max_jobs_per_user;    /* MaxJobsPerUser=16 */
        char **allowed_drivers;        /* AllowedDrivers=vfio-pci */
} DaemonSettings;

/* In Config.broken: a directory cannot be read, so any file may be missing. */
#define CONFIG_BROKEN_ANY "*"

typedef struct Config {
        DaemonSettings daemon;
        Rule **rules; /* sorted by name */
        size_t n_rules;
        char **broken;  /* names of files in error that have no last good content */
        char **skipped; /* names of files left out in this boot */
        Diagnostic *diagnostics;
        size_t n_diagnostics;
        bool disabled; /* vfiod=off on the kernel command line */
} Config;

/* Defaults, no rules. NULL: out of memory. */
Config *config_new(void);
Config *config_free(Config *c);
DEFINE_CLEANUP_FUNC(Config *, config_free);

const Rule *config_find_rule(const Config *c, const char *name);

/* Whether the file is in error, or may be. */
bool config_rule_is_broken(const Config *config, const char *name);

/* Takes over a reference, keeps the order by name. */
_must_check_ int config_add_rule(Config *c, Rule *r);

_must_check_ int config_add_diagnostic(Config *c, const char *path, unsigned line, unsigned column,
                                       bool error, const char *format, ...) _printf_(6, 7);

/* Whether any file is in error. */
bool config_has_errors(const Config *c);

/* Whether some rule needs serial numbers, which only a slow read gives. */
bool config_uses_serial(const Config *c);
