/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/print.h"
#include "ctl/json.h"

#include <ctype.h>
#include <libsmartcols.h>
#include <stdarg.h>

int print_json(const Ctl *c, json_object *o)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
        const char *text;

        if (c->options.json == JSON_PRETTY)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        text = json_object_to_json_string_ext(o, flags);
        if (!text)
                return -ENOMEM;
        puts(text);
        return 0;
}

/* Colours of device states. */
static const char *state_color(const char *state)
{
        static const struct {
                const char *state, *color;
        } colors[] = {
                { "ready", "green" },   { "pending", "yellow" },   { "working", "yellow" },
                { "blocked", "red" },   { "failed", "red" },       { "stuck", "red" },
                { "contended", "red" }, { "absent", "lightgray" },
        };

        for (size_t i = 0; i < ELEMENTSOF(colors); i++)
                if (streq(colors[i].state, state))
                        return colors[i].color;
        return NULL;
}

void table_unref(struct libscols_table **t)
{
        scols_unref_table(*t);
}

int table_new(const Ctl *c, const Column *columns, size_t n, bool tree, struct libscols_table **ret)
{
        _cleanup_table_ struct libscols_table *t = scols_new_table();

        if (!t)
                return -ENOMEM;
        scols_table_enable_noheadings(t, c->options.no_legend);
        scols_table_enable_colors(t, c->options.color);
        for (size_t i = 0; i < n; i++) {
                int flags = columns[i].right ? SCOLS_FL_RIGHT : 0;

                if (tree && i == 0)
                        flags |= SCOLS_FL_TREE;
                if (!scols_table_new_column(t, columns[i].title, 0, flags))
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(t);
        return 0;
}

int table_add(const Ctl *c, struct libscols_table *t, const Column *columns, size_t n,
              json_object *o, struct libscols_line *parent, struct libscols_line **ret)
{
        struct libscols_line *line = scols_table_new_line(t, parent);
        json_object *v;

        if (!line)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                bool has = json_object_object_get_ex(o, columns[i].key, &v);
                _cleanup_free_ char *words = has ? json_words(v) : strdup("");

                if (!words || scols_line_set_data(line, i, words) < 0)
                        return -ENOMEM;
                if (c->options.color && streq(columns[i].key, "state") &&
                    scols_cell_set_color(scols_line_get_cell(line, i), state_color(words)) < 0)
                        return -ENOMEM;
        }
        if (ret)
                *ret = line;
        return 0;
}

int table_print(struct libscols_table *t)
{
        return scols_print_table(t);
}

int print_table(const Ctl *c, const Column *columns, size_t n, json_object *list)
{
        _cleanup_table_ struct libscols_table *t = NULL;
        int r;

        r = table_new(c, columns, n, /* tree= */ false, &t);
        if (r < 0)
                return r;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                r = table_add(c, t, columns, n, json_object_array_get_idx(list, i), NULL, NULL);
                if (r < 0)
                        return r;
        }
        return table_print(t);
}

/* numa_node → NUMA node, pf → PF, driver_override → Driver override. */
static void print_title(const char *key, char *buffer, size_t size)
{
        static const char *const capitals[] = { "iommu", "mac", "numa", "pf",  "vf",
                                                "vfio",  "vga", "id",   "uid", "gid" };
        size_t used = 0;

        for (const char *word = key; *word && used < size - 1;) {
                size_t n = MIN(strcspn(word, "_"), size - 1 - used);
                bool upper = false;

                for (size_t i = 0; i < ELEMENTSOF(capitals); i++)
                        if (strlen(capitals[i]) == n && strncmp(word, capitals[i], n) == 0)
                                upper = true;
                if (strncmp(word, "vfs", n) == 0 && n == 3)
                        memcpy(buffer + used, "VFs", n);
                else
                        for (size_t i = 0; i < n; i++)
                                buffer[used + i] =
                                        upper || used + i == 0 ? toupper(word[i]) : word[i];
                used += n;
                word += n;
                if (*word == '_' && used < size - 1) {
                        buffer[used++] = ' ';
                        word++;
                }
        }
        buffer[used] = 0;
}

int print_members(json_object *o)
{
        char title[64];
        int width = 0;

        json_object_object_foreach(o, key, unused)
        {
                (void)unused;
                print_title(key, title, sizeof(title));
                width = MAX(width, (int)strlen(title));
        }
        json_object_object_foreach(o, name, value)
        {
                _cleanup_free_ char *words = json_words(value);

                if (!words)
                        return -ENOMEM;
                print_title(name, title, sizeof(title));
                print_safe(stdout, "%*s: %s\n", width, title, words);
        }
        return 0;
}

static void print_safe_va(FILE *f, const char *format, va_list ap)
{
        _cleanup_free_ char *text = NULL;

        if (vasprintf(&text, format, ap) < 0)
                return;
        for (char *p = text; *p; p++)
                if (iscntrl((unsigned char)*p) && *p != '\n')
                        *p = '?';
        fputs(text, f);
}

void print_safe(FILE *f, const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        print_safe_va(f, format, ap);
        va_end(ap);
}

int fail(int status, const char *format, ...)
{
        va_list ap;

        fputs("vfioctl: ", stderr);
        va_start(ap, format);
        print_safe_va(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        return status;
}
