/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What lasts for one boot: the boot id, and the clients' requests under it. */

#include "basic/io.h"
#include "sys/state.h"

#include <stdio.h>

enum {
        REQUESTS_FILE_MAX = 16 * 1024 * 1024, /* bytes */
        REQUESTS_MODE = 0644,
};

#define REQUESTS_PATH "run/vfiod/requests"
#define REQUESTS_MAGIC "vfiod-requests 1 "

int boot_id_read(const Sysroot *root, char ret[static BOOT_ID_SIZE])
{
        static const char none[BOOT_ID_SIZE] = "00000000000000000000000000000000";
        _cleanup_free_ char *line = NULL;
        char *end;
        int r;

        r = read_line_at(root->root, "proc/sys/kernel/random/boot_id", &line);
        if (r == -ENOENT && !root->is_host) {
                /* Another system's files: it is not running, so nothing is of its boot. */
                memcpy(ret, none, sizeof(none));
                return 0;
        }
        if (r < 0)
                return r;
        end = line;
        for (const char *p = line; *p; p++)
                if (*p != '-')
                        *end++ = *p;
        *end = 0;
        if (strlen(line) != BOOT_ID_SIZE - 1 || line[strspn(line, "0123456789abcdef")])
                return -EBADMSG;
        memcpy(ret, line, BOOT_ID_SIZE);
        return 0;
}

int requests_load(const Sysroot *root, const char *boot_id, RequestTable *ret)
{
        _cleanup_free_ char *text = NULL;
        const char *id;
        char *body;
        size_t size;
        int r;

        *ret = (RequestTable){ 0 };
        r = read_file_at(root->root, REQUESTS_PATH, REQUESTS_FILE_MAX, &text, &size);
        if (r < 0)
                return r == -ENOENT ? 0 : r;
        body = text;
        id = startswith(strsep(&body, "\n"), REQUESTS_MAGIC);
        if (!id || !body || body + strlen(body) != text + size)
                return -EBADMSG;
        return streq(id, boot_id) ? request_table_parse(body, ret) : 0;
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
