/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "daemon/bus-internal.h"

void field_cache_done(FieldCache *c)
{
        free(c->path);
        free(c->texts);
        *c = (FieldCache){ 0 };
}

/* Copies a text with its NUL behind those that are there. */
static int cache_text(FieldCache *c, const char *text)
{
        size_t n = strlen(text) + 1;

        if (c->n_allocated - c->n_texts < n) {
                size_t wanted = MAX(2 * c->n_allocated, c->n_texts + n + 1024);
                char *grown = realloc(c->texts, wanted);

                if (!grown)
                        return -ENOMEM;
                c->texts = grown;
                c->n_allocated = wanted;
        }
        memcpy(c->texts + c->n_texts, text, n);
        c->n_texts += n;
        return 0;
}

/* Of an array of strings `uinteger` is the number, and the texts follow one another. */
static int cache_field(const Field *f, void *userdata)
{
        FieldCache *c = userdata;
        Field *copy;
        int r;

        if (c->n_fields == ELEMENTSOF(c->fields))
                return -EOVERFLOW;
        copy = &c->fields[c->n_fields];
        *copy = *f;
        copy->string = NULL;
        copy->strv = NULL;
        c->offsets[c->n_fields] = c->n_texts;
        if (f->type == FIELD_STRING) {
                r = cache_text(c, strempty(f->string));
                if (r < 0)
                        return r;
        }
        if (f->type == FIELD_STRV) {
                copy->uinteger = 0;
                for (char *const *s = f->strv; s && *s; s++) {
                        r = cache_text(c, *s);
                        if (r < 0)
                                return r;
                        copy->uinteger++;
                }
        }
        c->n_fields++;
        return 0;
}

static bool cache_serves(const Bus *b, const char *path)
{
        return b->cache.enabled && b->cache.path && streq(b->cache.path, path) &&
               sd_bus_get_current_message(b->bus);
}

static int cache_fill(Bus *b, const char *path, describe_path_t describe)
{
        Snapshot s = manager_snapshot(b->manager);
        FieldCache *c = &b->cache;
        int r;

        free(c->path);
        c->path = NULL;
        c->n_fields = c->n_texts = 0;
        r = describe(&s, path, cache_field, c);
        if (r < 0)
                return r;
        c->path = strdup(path);
        return c->path ? 0 : -ENOMEM;
}

static int append_cached(const FieldCache *c, size_t i, sd_bus_message *reply)
{
        const char *text = c->texts + c->offsets[i];
        Field f = c->fields[i];
        int r;

        if (f.type != FIELD_STRV) {
                f.string = f.type == FIELD_STRING ? text : NULL;
                return bus_append_value(reply, &f);
        }
        r = sd_bus_message_open_container(reply, 'a', "s");
        if (r < 0)
                return r;
        for (uint32_t k = 0; k < f.uinteger; k++) {
                r = sd_bus_message_append_basic(reply, 's', text);
                if (r < 0)
                        return r;
                text += strlen(text) + 1;
        }
        return sd_bus_message_close_container(reply);
}

int bus_append_property(Bus *b, const char *path, const char *property, describe_path_t describe,
                        sd_bus_message *reply)
{
        int r;

        if (!cache_serves(b, path)) {
                r = cache_fill(b, path, describe);
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < b->cache.n_fields; i++)
                if (streq(b->cache.fields[i].name, property))
                        return append_cached(&b->cache, i, reply);
        return -ENODATA;
}
