/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* D-Bus values to JSON, whatever their type. */

#include "ctl/ctl.h"

/* One complete value at the message's position. */
_must_check_ int bus_value_to_json(sd_bus_message *m, json_object **ret);

/* The members of a dictionary, as of PropertiesChanged, over those that `o` has. */
_must_check_ int bus_merge_dict(sd_bus_message *m, json_object *o);
