/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One function per verb; `args` are the words behind it, NULL-terminated. */

#include "ctl/ctl.h"

int verb_list(Ctl *c, char **args);
int verb_groups(Ctl *c, char **args);
int verb_show(Ctl *c, char **args);
int verb_explain(Ctl *c, char **args);
int verb_plan(Ctl *c, char **args);
int verb_apply(Ctl *c, char **args);
int verb_bind(Ctl *c, char **args);
int verb_release(Ctl *c, char **args);
int verb_reload(Ctl *c, char **args);
int verb_check(Ctl *c, char **args);
int verb_wait(Ctl *c, char **args);
int verb_monitor(Ctl *c, char **args);
int verb_jobs(Ctl *c, char **args);
int verb_cancel(Ctl *c, char **args);
int verb_doctor(Ctl *c, char **args);

/* Steps and refusals in words, or as JSON. `nothing` says what it means if there are none. */
void print_plan(const Ctl *c, json_object *plan, const char *nothing);

/* Diagnostics of files in words on `f`, or as JSON on stdout. 1: one of them is an error. */
_must_check_ int print_diagnostics(const Ctl *c, json_object *list, FILE *f);
