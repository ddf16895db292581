/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "model/use.h"

void use_table_done(UseTable *t)
{
        for (size_t i = 0; i < t->n_uses; i++)
                free(t->uses[i].by);
        free(t->uses);
        *t = (UseTable){ 0 };
}

int use_table_add(UseTable *t, const PciAddress *address)
{
        Use *grown = reallocarray(t->uses, t->n_uses + 1, sizeof(Use));

        if (!grown)
                return -ENOMEM;
        t->uses = grown;
        grown[t->n_uses++] = (Use){ .address = *address };
        return 0;
}

const char *use_table_find(const UseTable *t, const PciAddress *address)
{
        for (size_t i = 0; i < t->n_uses; i++)
                if (pci_address_equal(&t->uses[i].address, address))
                        return t->uses[i].by;
        return NULL;
}
