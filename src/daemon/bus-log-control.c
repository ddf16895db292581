/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.freedesktop.LogControl1, for `systemctl service-log-level`. sd-bus lets only root set. */

#include "basic/log.h"
#include "daemon/bus-internal.h"

static const char *const levels[] = {
        [LOG_EMERG] = "emerg", [LOG_ALERT] = "alert",     [LOG_CRIT] = "crit",
        [LOG_ERR] = "err",     [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
        [LOG_INFO] = "info",   [LOG_DEBUG] = "debug",
};

static int property_get(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const char *value = LOG_IDENTIFIER;

        if (streq(property, "LogLevel"))
                value = levels[log_get_max_level() & LOG_PRIMASK];
        else if (streq(property, "LogTarget"))
                value = log_get_target();
        return sd_bus_message_append(reply, "s", value);
}

static int property_set(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *value, void *userdata, sd_bus_error *error)
{
        const char *word;
        int r;

        r = sd_bus_message_read(value, "s", &word);
        if (r < 0)
                return r;
        if (streq(property, "LogTarget"))
                r = log_set_target(word);
        else {
                r = string_table_find(levels, ELEMENTSOF(levels), word);
                if (r >= 0)
                        log_set_max_level(r);
        }
        return r >= 0 ? 0
                      : sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s cannot be '%.*s'",
                                          property, BUS_WORD_MAX, word);
}

/* clang-format off */
const sd_bus_vtable bus_log_control_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", property_get, property_set, 0, 0),
        SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", property_get, property_set, 0, 0),
        CONSTANT("SyslogIdentifier", "s"),
        SD_BUS_VTABLE_END,
};
/* clang-format on */
