/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the targets share. Each is a file fuzz-NAME.c with the function below. */

#include "basic/macro.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

_Noreturn void fuzz_fail(const char *file, int line, const char *text);

/* What must hold for any input: ends the program if it does not. */
#define CHECK(condition)                                           \
        do {                                                       \
                if (!(condition))                                  \
                        fuzz_fail(__FILE__, __LINE__, #condition); \
        } while (0)

/* The input as text, which ends at its first NUL byte. */
char *fuzz_text(const uint8_t *data, size_t size);

/* The input up to a newline, as text; steps over it. "" at the end. */
char *fuzz_line(const uint8_t **data, size_t *size);

/* A directory that is made when it is first asked for, and removed at exit. */
const char *fuzz_root_path(void);
int fuzz_root(void);

/* A file below it, with the directories that it needs, replaces what is there. */
void fuzz_file(const char *path, const void *data, size_t size);
void fuzz_remove(const char *path);
