/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Reading and making the objects that are shown. */

#include "ctl/ctl.h"

/* Text of a member, or NULL: null, missing, or no string. */
const char *json_text(json_object *o, const char *key);

/* A number, or -1. */
int64_t json_number(json_object *o, const char *key);

bool json_flag(json_object *o, const char *key);

/* A member as a list; NULL if it is none. Weak. */
json_object *json_list(json_object *o, const char *key);

/* Whether a list of texts has this one. */
bool json_list_has(json_object *list, const char *text);

/* Adds a member; takes over `value`, also on failure. */
_must_check_ int json_add(json_object *o, const char *key, json_object *value);

/* Adds a text; NULL and "" become null. */
_must_check_ int json_add_text(json_object *o, const char *key, const char *value);

/* Appends to a list; takes over `value`, also on failure. */
_must_check_ int json_append(json_object *list, json_object *value);

/* The value as people read it: "-" for null, yes, no, words joined by spaces. NULL: no memory. */
char *json_words(json_object *value);
