/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What lasts for one boot: the boot id, and the clients' requests under it. */

#include "basic/io.h"
#include "sys/state.h"

#include <ctype.h>
#include <stdio.h>

enum {
        REQUESTS_FILE_MAX = 16 * 1024 * 1024, /* bytes */
        REQUESTS_MODE = 0644,
};

#define REQUESTS_PATH "run/vfiod/requests"
#define REQUESTS_MAGIC "vfiod-requests 1 "
#define BOOT_ID_PATH "proc/sys/kernel/random/boot_id"

int boot_id_read(const Sysroot *root, char ret[static BOOT_ID_SIZE])
{
        _cleanup_free_ char *line = NULL;
        char id[BOOT_ID_SIZE];
        size_t n = 0;
        int r;

        r = read_line_at(root->root, BOOT_ID_PATH, &line);
        if (r == -ENOENT && !root->is_host) {
                /* Another system's files: it is not running, so nothing is of its boot. */
                memset(ret, '0', BOOT_ID_SIZE - 1);
                ret[BOOT_ID_SIZE - 1] = 0;
                return 0;
        }
        if (r < 0)
                return r;
        for (const char *p = line; *p; p++) {
                if (*p == '-')
                        continue;
                if (!isxdigit((unsigned char)*p) || n == BOOT_ID_SIZE - 1)
                        return -EBADMSG;
                id[n++] = *p;
        }
        if (n != BOOT_ID_SIZE - 1)
                return -EBADMSG;
        id[n] = 0;
        memcpy(ret, id, sizeof(id));
        return 0;
}

int requests_load(const Sysroot *root, const char *boot_id, RequestTable *ret)
{
        _cleanup_free_ char *text = NULL;
        const char *id;
        char *body;
        size_t size;
        int r;

        r = read_file_at(root->root, REQUESTS_PATH, REQUESTS_FILE_MAX, &text, &size);
        if (r == -ENOENT) {
                *ret = (RequestTable){ 0 };
                return 0;
        }
        if (r < 0)
                return r;
        body = strchr(text, '\n');
        id = startswith(text, REQUESTS_MAGIC);
        if (!body || !id || strlen(text) != size)
                return -EBADMSG;
        *body++ = 0;
        if (!streq(id, boot_id)) {
                *ret = (RequestTable){ 0 };
                return 0;
        }
        return request_table_parse(body, ret);
}

int requests_save(const Sysroot *root, const char *boot_id, const RequestTable *t)
{
        _cleanup_free_ char *body = NULL, *text = NULL;
        int r;

        r = request_table_format(t, &body);
        if (r < 0)
                return r;
        if (asprintf(&text, REQUESTS_MAGIC "%s\n%s", boot_id, body) < 0)
                return -ENOMEM;
        return replace_file_at(root->root, REQUESTS_PATH, text, strlen(text), REQUESTS_MODE);
}
