/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/print.h"
#include "ctl/json.h"

#include <ctype.h>
#include <stdarg.h>

bool print_json(const Ctl *c, json_object *o)
{
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

        if (c->json == JSON_OFF)
                return false;
        if (c->json == JSON_PRETTY)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        puts(must((char *)json_object_to_json_string_ext(o, flags)));
        return true;
}

const char *color_of(const Ctl *c, const char *state)
{
        static const struct {
                const char *color, *states[6];
        } rows[] = {
                { "\033[32m", { "ready", "ok" } },
                { "\033[33m", { "pending", "working", "warn" } },
                { "\033[31m", { "blocked", "failed", "stuck", "contended", "fail" } },
                { "\033[90m", { "absent" } },
        };

        for (size_t i = 0; c->color && i < ELEMENTSOF(rows); i++)
                for (size_t k = 0; rows[i].states[k]; k++)
                        if (streq(rows[i].states[k], state))
                                return rows[i].color;
        return "";
}

static struct libscols_line *add_line(const Ctl *c, struct libscols_table *t, const Column *columns,
                                      json_object *o)
{
        struct libscols_line *line = must(scols_table_new_line(t, NULL));
        json_object *value;

        for (size_t i = 0; columns[i].title; i++) {
                if (!json_object_object_get_ex(o, columns[i].key, &value))
                        continue;
                if (scols_line_refer_data(line, i, json_words(value)) < 0)
                        must(NULL);
                if (streq(columns[i].key, "state"))
                        (void)scols_cell_set_color(scols_line_get_cell(line, i),
                                                   color_of(c, json_word(o, "state")));
        }
        return line;
}

static void add_lines(const Ctl *c, struct libscols_table *t, const Column *columns,
                      json_object *list, const char *above)
{
        _cleanup_free_ struct libscols_line **lines =
                must(calloc(json_count(list) + 1, sizeof(*lines)));
        _cleanup_json_ json_object *places = json_new();
        json_object *place;

        for (size_t i = 0; i < json_count(list); i++) {
                lines[i] = add_line(c, t, columns, json_at(list, i));
                json_add_number(places, json_word(json_at(list, i), "address"), (int64_t)i);
        }
        for (size_t i = 0; above && i < json_count(list); i++)
                if (json_object_object_get_ex(places, json_word(json_at(list, i), above), &place) &&
                    scols_line_add_child(lines[json_object_get_int64(place)], lines[i]) < 0)
                        must(NULL);
}

int print_table(const Ctl *c, const Column *columns, json_object *list, const char *above)
{
        struct libscols_table *t = must(scols_new_table());
        int r;

        scols_table_enable_noheadings(t, c->given & OPTION_NO_LEGEND);
        scols_table_enable_colors(t, c->color);
        for (size_t i = 0; columns[i].title; i++)
                must(scols_table_new_column(t, columns[i].title, 0, columns[i].flags));
        add_lines(c, t, columns, list, above);
        r = scols_print_table(t);
        scols_unref_table(t);
        return r;
}

/* numa_node → NUMA node, num_vfs → Num VFs, driver_override → Driver override. */
static char *title_of(const char *key)
{
        static const char *const capitals[] = { "iommu", "mac", "numa", "pf",  "vf",
                                                "vfio",  "vga", "id",   "uid", "gid",
                                                "vlan",  "qos", "tx" };
        char *title = must(strdup(key));

        for (char *word = title, *end; *word; word = *end ? end + 1 : end) {
                end = word + strcspn(word, "_");
                for (size_t i = 0; i < ELEMENTSOF(capitals); i++) {
                        const char *rest = startswith(word, capitals[i]);

                        if (rest && rest + (*rest == 's') == end)
                                for (char *p = word; p < rest; p++)
                                        *p = (char)toupper(*p);
                }
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

                if (!json_object_is_type(value, json_type_object)) {
                        print_safe(stdout, "%*s: %s\n", (int)width, title, words);
                        continue;
                }
                print_safe(stdout, "%s:\n", title);
                print_members(value);
        }
}

static void print_safe_va(FILE *f, const char *format, va_list ap)
{
        _cleanup_free_ char *text = format_text_va(format, ap);

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

char *device_text(json_object *d)
{
        const char *address = json_word(d, "address"), *state = json_word(d, "state");
        const char *driver = json_text(d, "driver"), *node = json_text(d, "vfio_node");
        _cleanup_free_ char *group = NULL;

        if (json_text(d, "reason"))
                return format_text("%s: %s: %s: %s (%s)", address, state, json_word(d, "reason"),
                                   json_word(d, "sentence"), json_word(d, "remedy"));
        if (json_text(d, "group"))
                group = format_text(" (group %s%s%s)", json_text(d, "group"), node ? ", " : "",
                                    strempty(node));
        return format_text("%s: %s%s%s%s", address, state, driver ? " on " : " without a driver",
                           strempty(driver), strempty(group));
}
