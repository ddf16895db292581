/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/print.h"
#include "ctl/json.h"

#include <ctype.h>
#include <libsmartcols.h>
#include <stdarg.h>

void print_json(const Ctl *c, json_object *o)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

        if (c->options.json == JSON_PRETTY)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        puts(must((char *)json_object_to_json_string_ext(o, flags)));
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

struct libscols_table *table_new(const Ctl *c, const Column *columns, size_t n, bool tree)
{
        struct libscols_table *t = must(scols_new_table());

        scols_table_enable_noheadings(t, c->options.no_legend);
        scols_table_enable_colors(t, c->options.color);
        for (size_t i = 0; i < n; i++) {
                int flags = columns[i].right ? SCOLS_FL_RIGHT : 0;

                if (tree && i == 0)
                        flags |= SCOLS_FL_TREE;
                must(scols_table_new_column(t, columns[i].title, 0, flags));
        }
        return t;
}

struct libscols_line *table_add(const Ctl *c, struct libscols_table *t, const Column *columns,
                                size_t n, json_object *o, struct libscols_line *parent)
{
        struct libscols_line *line = must(scols_table_new_line(t, parent));
        json_object *v;

        for (size_t i = 0; i < n; i++) {
                if (!json_object_object_get_ex(o, columns[i].key, &v))
                        continue;
                if (scols_line_refer_data(line, i, json_words(v)) < 0)
                        must(NULL);
                if (c->options.color && streq(columns[i].key, "state"))
                        (void)scols_cell_set_color(scols_line_get_cell(line, i),
                                                   state_color(json_word(o, "state")));
        }
        return line;
}

int print_table(const Ctl *c, const Column *columns, size_t n, json_object *list)
{
        _cleanup_table_ struct libscols_table *t = table_new(c, columns, n, /* tree= */ false);

        for (size_t i = 0; i < json_count(list); i++)
                table_add(c, t, columns, n, json_at(list, i), NULL);
        return scols_print_table(t);
}

/* numa_node → NUMA node, pf → PF, driver_override → Driver override. */
static char *title_of(const char *key)
{
        static const char *const capitals[] = { "iommu", "mac", "numa", "pf",  "vf",
                                                "vfio",  "vga", "id",   "uid", "gid" };
        char *title = must(strdup(key));

        for (char *word = title, *end; *word; word = *end ? end + 1 : end) {
                end = word + strcspn(word, "_");
                for (size_t i = 0; i < ELEMENTSOF(capitals); i++)
                        if (strlen(capitals[i]) == (size_t)(end - word) &&
                            startswith(word, capitals[i]))
                                for (char *p = word; p < end; p++)
                                        *p = (char)toupper(*p);
                if (*end)
                        *end = ' ';
        }
        title[0] = (char)toupper(title[0]);
        return title;
}

void print_members(json_object *o)
{
        size_t width = 0;

        json_object_object_foreach(o, key, unused)
        {
                (void)unused;
                width = MAX(width, strlen(key));
        }
        json_object_object_foreach(o, name, value)
        {
                _cleanup_free_ char *title = title_of(name), *words = json_words(value);

                print_safe(stdout, "%*s: %s\n", (int)width, title, words);
        }
}

static void print_safe_va(FILE *f, const char *format, va_list ap)
{
        char *text = NULL;

        if (vasprintf(&text, format, ap) < 0)
                must(NULL);
        for (char *p = text; *p; p++)
                if (iscntrl((unsigned char)*p) && *p != '\n')
                        *p = '?';
        fputs(text, f);
        free(text);
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

int say_device(int status, json_object *device)
{
        return fail(status, "%s: %s: %s: %s (%s)", json_word(device, "address"),
                    json_word(device, "state"), json_word(device, "reason"),
                    json_word(device, "sentence"), json_word(device, "remedy"));
}
