/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The whole state, for assertions. */

#include "sim.h"

#include <string.h>

static void write_text(FILE *f, const char *key, const char *text)
{
        fprintf(f, ",\"%s\":", key);
        if (!text) {
                fputs("null", f);
                return;
        }
        fputc('"', f);
        for (; *text; text++)
                if (*text < ' ' || *text == '"' || *text == '\\')
                        fprintf(f, "\\u%04x", (unsigned char)*text);
                else
                        fputc(*text, f);
        fputc('"', f);
}

static void dump_device(FILE *f, const Device *d)
{
        fprintf(f, "\"%s\":{\"ids\":\"%04x:%04x\"", d->name, d->vendor, d->device);
        write_text(f, "driver", d->bound ? d->driver->name : NULL);
        write_text(f, "override", d->override);
        fprintf(f, ",\"busy\":%s", d->locked ? "true" : "false");
        if (d->group)
                fprintf(f, ",\"group\":%d", d->group->number);
        else
                fprintf(f, ",\"group\":null");
        fprintf(f, ",\"class\":\"%06x\"", d->class);
        if (d->total_vfs > 0) {
                fprintf(f, ",\"autoprobe\":%s,\"num_vfs\":%u,\"vfs\":[",
                        d->autoprobe ? "true" : "false", d->num_vfs);
                for (unsigned i = 0; i < d->num_vfs; i++)
                        fprintf(f, "%s\"%s\"", i ? "," : "", d->vfs[i]->name);
                fputc(']', f);
        }
        write_text(f, "pf", d->pf ? d->pf->name : NULL);
        fprintf(f, ",\"users\":%u,\"looks\":%u,\"opens\":%u}", d->users, d->looks, d->opens);
}

static void dump_group(FILE *f, const Group *g)
{
        bool first = true;

        fprintf(f, "\"%d\":{\"openers\":%u,\"viable\":%s,\"node\":%s", g->number, g->openers,
                group_viable(g) ? "true" : "false", g->chardev ? "true" : "false");
        if (g->chardev)
                fprintf(f, ",\"mode\":%u,\"uid\":%u,\"gid\":%u", g->chardev->mode, g->chardev->uid,
                        g->chardev->gid);
        fprintf(f, ",\"members\":[");
        for (const Device *d = sim.devices; d; d = d->next)
                if (d->registered && d->group == g) {
                        fprintf(f, "%s\"%s\"", first ? "" : ",", d->name);
                        first = false;
                }
        fprintf(f, "]}");
}

void dump_state(FILE *f)
{
        const char *comma = "";

        fprintf(f, "{\"kernel\":%d,\"held\":%u,\"writes\":%u,\"devices\":{", sim.kernel,
                faults_held(), log_count());
        for (const Device *d = sim.devices; d; d = d->next) {
                if (!d->registered)
                        continue;
                fputs(comma, f);
                dump_device(f, d);
                comma = ",";
        }
        fprintf(f, "},\"groups\":{");
        comma = "";
        for (const Group *g = sim.groups; g; g = g->next) {
                fputs(comma, f);
                dump_group(f, g);
                comma = ",";
        }
        fprintf(f, "},\"dynamic_ids\":{");
        comma = "";
        for (const Driver *drv = sim.drivers; drv; drv = drv->next) {
                unsigned n = 0;

                for (const Id *i = drv->dynamic; i; i = i->next)
                        n++;
                fprintf(f, "%s\"%s\":%u", comma, drv->name, n);
                comma = ",";
        }
        fprintf(f, "}}\n");
}
