/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What clients asked for in this boot. A request on a device goes before the files. */

#include "model/config.h"

typedef struct Request {
        PciAddress address;
        uint16_t vendor, device; /* of the card that was meant: another one is left alone */
        bool release;            /* give it back and leave it alone; else bind as below */
        TargetKind target;       /* VFIO, DRIVER, HOST, NONE; UNMANAGED: the files' word holds */
        char *driver;
        HazardSet accept;
        bool counts; /* of a PF: says how many VFs; else the files' word holds */
        unsigned num_vfs;
} Request;

typedef struct RequestTable {
        Request *requests; /* sorted by address */
        size_t n_requests;
} RequestTable;

void request_table_done(RequestTable *t);
_must_check_ int request_table_copy(const RequestTable *t, RequestTable *ret);
const Request *request_table_find(const RequestTable *t, const PciAddress *address);

/* Adds or replaces by address, or removes if nothing is asked for; copies `driver`. */
_must_check_ int request_table_put(RequestTable *t, const Request *r);
void request_table_remove(RequestTable *t, const PciAddress *address);

/* The requests that `other` does not have just so. */
_must_check_ int request_table_subtract(const RequestTable *t, const RequestTable *other,
                                        RequestTable *ret);

/* The driver of a device and the number of its VFs are asked for apart. */
typedef enum RequestPart {
        REQUEST_DRIVER = 1, /* or that it is released */
        REQUEST_COUNT = 2,
} RequestPart;

/* What an operation did to a table: the requests that it changed, as they were and as they are. */
typedef struct RequestChange {
        RequestTable before, after;
} RequestChange;

void request_change_done(RequestChange *c);

/*
 * Takes the change back for one device: `parts`, unless something else was asked for since. Whether
 * that changed the table.
 */
_must_check_ int request_table_take_back(RequestTable *t, const PciAddress *address, unsigned parts,
                                         const RequestChange *c);

/* Text form for /run/vfiod/requests, one line each; parsing rejects the whole on any bad line. */
_must_check_ int request_table_format(const RequestTable *t, char **ret);
_must_check_ int request_table_parse(const char *text, RequestTable *ret);
