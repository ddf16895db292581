/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The interfaces as XML without a bus, in the form of the files in dbus/. A test compares those
 * with what a running daemon serves.
 */

#include "basic/names.h"
#include "daemon/bus-internal.h"

#include <stdio.h>

static const struct {
        const char *name;
        const sd_bus_vtable *vtable;
} interfaces[] = {
        { VFIOD_MANAGER_INTERFACE, bus_manager_vtable },
        { VFIOD_DEVICE_INTERFACE, bus_device_vtable },
        { VFIOD_GROUP_INTERFACE, bus_group_vtable },
        { VFIOD_JOB_INTERFACE, bus_job_vtable },
};

/* The length of the first complete type. The signatures are our own, so they are valid. */
static size_t type_length(const char *s)
{
        size_t n = 0, depth = 0;

        while (s[n] == 'a')
                n++;
        do {
                if (s[n] == '(' || s[n] == '{')
                        depth++;
                else if (s[n] == ')' || s[n] == '}')
                        depth--;
                n++;
        } while (depth > 0 && s[n]);
        return n;
}

/* Prints one argument per type and returns the rest of the names. */
static const char *print_args(FILE *f, const char *signature, const char *names,
                              const char *direction)
{
        while (*signature) {
                size_t n = type_length(signature);

                fprintf(f, "   <arg type=\"%.*s\" name=\"%s\"", (int)n, signature, names);
                if (direction)
                        fprintf(f, " direction=\"%s\"", direction);
                fputs("/>\n", f);
                signature += n;
                names += strlen(names) + 1;
        }
        return names;
}

static void print_method(FILE *f, const sd_bus_vtable *v)
{
        const char *names = v->x.method.names;

        fprintf(f, "  <method name=\"%s\"", v->x.method.member);
        if (!*v->x.method.signature && !*v->x.method.result) {
                fputs("/>\n", f);
                return;
        }
        fputs(">\n", f);
        names = print_args(f, v->x.method.signature, names, "in");
        print_args(f, v->x.method.result, names, "out");
        fputs("  </method>\n", f);
}

static void print_property(FILE *f, const sd_bus_vtable *v)
{
        fprintf(f, "  <property name=\"%s\" type=\"%s\" access=\"read\"", v->x.property.member,
                v->x.property.signature);
        if (v->flags & SD_BUS_VTABLE_PROPERTY_CONST)
                fputs(">\n   <annotation name=\"org.freedesktop.DBus.Property.EmitsChangedSignal\" "
                      "value=\"const\"/>\n  </property>\n",
                      f);
        else
                fputs("/>\n", f);
}

static void print_vtable(FILE *f, const sd_bus_vtable *vtable)
{
        for (const sd_bus_vtable *v = vtable; v->type != _SD_BUS_VTABLE_END; v++)
                switch (v->type) {
                case _SD_BUS_VTABLE_METHOD:
                        print_method(f, v);
                        break;
                case _SD_BUS_VTABLE_SIGNAL:
                        fprintf(f, "  <signal name=\"%s\">\n", v->x.signal.member);
                        print_args(f, v->x.signal.signature, v->x.signal.names, NULL);
                        fputs("  </signal>\n", f);
                        break;
                case _SD_BUS_VTABLE_PROPERTY:
                        print_property(f, v);
                        break;
                }
}

static int print_interface(FILE *f, const char *name, const sd_bus_vtable *vtable)
{
        fputs("<!DOCTYPE node PUBLIC \"-//freedesktop//DTD D-BUS Object Introspection 1.0//EN\" "
              "\"https://www.freedesktop.org/standards/dbus/1.0/introspect.dtd\">\n"
              "<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n<node>\n",
              f);
        fprintf(f, " <interface name=\"%s\">\n", name);
        print_vtable(f, vtable);
        fputs(" </interface>\n</node>\n", f);
        return ferror(f) ? -EIO : 0;
}

static int print_list(FILE *f)
{
        for (size_t i = 0; i < ELEMENTSOF(interfaces); i++)
                fprintf(f, "%s\n", interfaces[i].name);
        return ferror(f) ? -EIO : 0;
}

int bus_introspect(const char *interface, FILE *f)
{
        if (!interface || streq(interface, "list"))
                return print_list(f);
        for (size_t i = 0; i < ELEMENTSOF(interfaces); i++)
                if (streq(interfaces[i].name, interface))
                        return print_interface(f, interface, interfaces[i].vtable);
        return -ENOENT;
}
