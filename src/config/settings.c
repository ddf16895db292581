/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "config/settings.h"
#include "config/keys.h"
#include "config/load.h"

int settings_copy(const DaemonSettings *settings, DaemonSettings *ret)
{
        DaemonSettings copy = *settings;
        int r;

        r = strv_copy(settings->allowed_drivers, &copy.allowed_drivers);
        if (r < 0)
                return r;
        *ret = copy;
        return 0;
}

void settings_done(DaemonSettings *settings)
{
        settings->allowed_drivers = strv_free(settings->allowed_drivers);
}

int config_parse_settings(Config *c, const char *path, const char *text, size_t size)
{
        _cleanup_(settings_done) DaemonSettings settings = { 0 };
        Source source = { .config = c, .path = path, .rootfd = -EBADF };
        DaemonSettings before;
        int r;

        r = settings_copy(&c->daemon, &settings);
        if (r < 0)
                return r;
        r = keys_read_settings(&source, text, size, &settings);
        if (r < 0)
                return r;
        if (source.n_errors == 0) {
                before = c->daemon;
                c->daemon = settings;
                settings = before;
        }
        return 0;
}
