/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the operations of agree and the words of its list share. */

#include <stdbool.h>
#include <stddef.h>

enum { MAX_WORDS = 8, TEXT = 1024 };

#define DEVICES "/sys/bus/pci/devices/"
#define DRIVERS "/sys/bus/pci/drivers/"

extern char kernel[16]; /* "6.1" */

/* The address of the device that has this role, "absent" if there is none. */
const char *role(const char *name, size_t n);
void set_role(const char *name, const char *address);

/* Sets errno. */
bool read_text(const char *path, char *buffer, size_t size);

/* The basename of a link's target. */
bool read_link(const char *path, char *buffer, size_t size);

/* $ROLE becomes its address; D/ and V/ the folders of devices and drivers, N/$ROLE its node. */
void expand(const char *word, char *buffer, size_t size);

/* A newline as in C, a space ahead as \s; addresses as the names of their roles. */
void print_text(char *out, size_t size, const char *text);

/* A word in quotes may hold \n, \0 and spaces. Returns its length. */
size_t unquote(char *word);

/* Cuts a line into at most MAX_WORDS - 1 words, and ends them with NULL. Returns how many. */
int split(char *line, char **words);

/* "ok; 5.10 ENODEV": the first is for all but the kernels that are named. */
const char *find_expected(char *text);

/* Whether this kernel is in a list such as "5.10,6.1". */
bool is_for_kernel(const char *list);
