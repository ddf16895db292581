/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/use.h"

#include <stdarg.h>
#include <stdio.h>

void use_table_done(UseTable *t)
{
        for (size_t i = 0; i < t->n_uses; i++)
                free(t->uses[i].by);
        free(t->uses);
        free(t->asked);
        *t = (UseTable){ 0 };
}

bool use_table_asks(const UseTable *t, const PciAddress *address)
{
        return t->n_asked > 0 &&
               bsearch(address, t->asked, t->n_asked, sizeof(PciAddress), pci_address_compare_void);
}

int use_table_ask(UseTable *t, const PciAddress *address)
{
        size_t i = t->n_asked;

        if (use_table_asks(t, address))
                return 0;
        while (i > 0 && pci_address_compare(&t->asked[i - 1], address) > 0)
                i--;
        if (!INSERT(t->asked, t->n_asked, i))
                return -ENOMEM;
        t->asked[i] = *address;
        return 0;
}

int use_table_add(UseTable *t, const PciAddress *address, Reason hazard, const char *format, ...)
{
        size_t i = use_table_position(t, address);
        char *by;
        va_list ap;
        int r;

        for (; i < t->n_uses && pci_address_equal(&t->uses[i].address, address); i++)
                if (t->uses[i].hazard == hazard)
                        return 0;
        va_start(ap, format);
        r = vasprintf(&by, format, ap);
        va_end(ap);
        if (r < 0)
                return -ENOMEM;
        if (!INSERT(t->uses, t->n_uses, i)) {
                free(by);
                return -ENOMEM;
        }
        for (char *c = by; *c; c++)
                if (*c < ' ' || *c > '~')
                        *c = '?';
        t->uses[i] = (Use){ *address, hazard, by };
        return 0;
}

size_t use_table_position(const UseTable *t, const PciAddress *address)
{
        return pci_address_position(t->uses, t->n_uses, sizeof(Use), address);
}

const Use *use_table_find(const UseTable *t, const PciAddress *address, Reason hazard)
{
        for (size_t i = use_table_position(t, address);
             i < t->n_uses && pci_address_equal(&t->uses[i].address, address); i++)
                if (hazard == REASON_NONE || t->uses[i].hazard == hazard)
                        return &t->uses[i];
        return NULL;
}
