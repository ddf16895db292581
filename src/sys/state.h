/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The memory on disk. /var/lib/vfiod/state: origins; versioned text with a checksum, replaced
 * atomically. /run/vfiod/requests: this boot's requests. Both carry the boot id; a state of
 * another boot comes back with Origin.taken false, requests of another boot are dropped.
 */

#include "model/origin.h"
#include "model/request.h"
#include "sys/sysroot.h"

enum { BOOT_ID_SIZE = 33 };

_must_check_ int boot_id_read(const Sysroot *root, char ret[static BOOT_ID_SIZE]);

/*
 * 0: read (also if there is no file). -EBADMSG: it does not parse; it was renamed to
 * "state.broken" and `ret` is empty. -EPROTONOSUPPORT: written by a newer version; renamed
 * likewise to "state.newer". `ret_error` (may be NULL) gets a sentence, to be freed.
 */
_must_check_ int state_load(const Sysroot *root, const char *boot_id, OriginTable *ret,
                            char **ret_error);
/* The same, but it leaves the file where it is. */
_must_check_ int state_read(const Sysroot *root, const char *boot_id, OriginTable *ret,
                            char **ret_error);

/* Waits for the disk. -EBUSY: another process does so already. */
_must_check_ int state_save(const Sysroot *root, const char *boot_id, const OriginTable *t);

_must_check_ int requests_load(const Sysroot *root, const char *boot_id, RequestTable *ret);
_must_check_ int requests_save(const Sysroot *root, const char *boot_id, const RequestTable *t);

/* The pure halves, for tests and fuzzers. `ret_error` as above. */
_must_check_ int state_format(const char *boot_id, const OriginTable *t, char **ret);
_must_check_ int state_parse(const char *text, size_t size, const char *boot_id, OriginTable *ret,
                             char **ret_error);
