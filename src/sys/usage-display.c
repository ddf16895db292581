/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The framebuffer console. That it is bound stands in vtconsole/vtcon1/bind, which takes the
 * console's lock (kernel: drivers/tty/vt/vt.c, show_bind()) and may not be read here.
 */

#include "basic/io.h"
#include "basic/parse.h"
#include "sys/sysfs.h"
#include "sys/usage-internal.h"

#include <limits.h>

/* The console is on the first of the framebuffers (kernel: drivers/video/fbdev/core/fbcon.c). */
static int find_first(const Look *l, char **ret)
{
        _cleanup_strv_ char **names = NULL;
        uint64_t lowest = UINT64_MAX, number;
        const char *first = NULL;
        int r = look_optional(list_dir_at(l->root->sys, SYSFS_GRAPHICS_CLASS, &names));

        if (r < 0)
                return r;
        STRV_FOREACH(name, names) {
                const char *digits = startswith(*name, "fb");

                if (digits && parse_uint(digits, 10, INT_MAX, &number) >= 0 && number < lowest) {
                        lowest = number;
                        first = *name;
                }
        }
        if (!first)
                return 0;
        *ret = strdup(first);
        return *ret ? 1 : -ENOMEM;
}

/* 1: there is one. */
static int find_framebuffer_console(const Look *l)
{
        _cleanup_strv_ char **names = NULL;
        bool found = false;
        int r = look_optional(list_dir_at(l->root->sys, SYSFS_VTCONSOLE_CLASS, &names));

        STRV_FOREACH(name, names) {
                _cleanup_free_ char *what = NULL;

                found = found || (read_line_at(l->root->sys,
                                               SYSFS_PATH(SYSFS_VTCONSOLE_CLASS, *name, "name"),
                                               &what) >= 0 &&
                                  strstr(what, "frame buffer"));
        }
        return r < 0 ? r : found;
}

int look_at_displays(Look *l)
{
        _cleanup_free_ char *fb = NULL, *path = NULL, *name = NULL;
        const char *rest;
        PciAddress a;
        int r = find_first(l, &fb);

        if (r <= 0)
                return r;
        r = look_optional(
                readlink_at(l->root->sys, SYSFS_PATH(SYSFS_GRAPHICS_CLASS, ".", fb), &path));
        if (r < 0 || !path || !look_find_function(l, path, &a))
                return r;
        r = find_framebuffer_console(l);
        if (r <= 0)
                return r;
        r = look_optional(
                read_line_at(l->root->sys, SYSFS_PATH(SYSFS_GRAPHICS_CLASS, fb, "name"), &name));
        for (rest = path; r >= 0 && (rest = look_find_function(l, rest, &a));)
                r = use_table_add(l->table, &a, REASON_BOOT_DISPLAY,
                                  "the console is on its framebuffer %s (%s)", fb,
                                  name ? name : "?");
        return r;
}
