/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Words for devices, one in each line, as vfioctl looks them up on a host without a daemon. */

#include "basic/strv.h"
#include "ctl/json.h"
#include "ctl/source.h"
#include "fuzz.h"
#include "model/address.h"

enum { WORDS_MAX = 16, STARS_MAX = 8 }; /* what many stars cost is known */

static void add_device(const char *address, const char *modalias, const char *total_vfs)
{
        char path[128];

        snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/modalias", address);
        fuzz_file(path, modalias, strlen(modalias));
        snprintf(path, sizeof(path), "sys/bus/pci/devices/%s/sriov_totalvfs", address);
        fuzz_file(path, total_vfs, strlen(total_vfs));
}

static void open_host(Ctl *c)
{
        fuzz_file("etc/vfiod/vfiod.conf", "\n", 1);
        add_device("0000:00:1c.0", "pci:v00008086d0000A33Csv00000000sd00000000bc06sc04i00", "0");
        add_device("0000:41:00.0", "pci:v00008086d000010C9sv00000000sd00000000bc02sc00i00", "7");
        add_device("0000:41:10.0", "pci:v00008086d000010CAsv00000000sd00000000bc02sc00i00", "0");
        add_device("10000:e1:00.0", "pci:v00008086d00000B60sv00000000sd00000000bc01sc08i02", "0");
        fuzz_file("sys/bus/pci/devices/0000:41:00.0/net/eth0/address", "02:00:00:00:10:00\n", 18);
        CHECK(symlinkat("../0000:41:10.0", fuzz_root(),
                        "sys/bus/pci/devices/0000:41:00.0/virtfn0") == 0);
        CHECK(symlinkat("../0000:41:00.0", fuzz_root(),
                        "sys/bus/pci/devices/0000:41:10.0/physfn") == 0);
        c->root = fuzz_root_path();
        CHECK(source_local(c, NULL) == 0);
}

static void select_devices(Ctl *c, char **words, SelectMode mode)
{
        _cleanup_json_ json_object *list = NULL;
        const char *before = "";
        PciAddress a;
        int r;

        r = source_devices(c, words, mode, &list);
        CHECK(r == 0 || r == STATUS_NO_DEVICE);
        CHECK((r == 0) == (json_count(list) > 0));
        for (size_t i = 0; i < json_count(list); i++) {
                const char *address = json_word(json_at(list, i), "address");

                CHECK(pci_address_parse(address, &a) == 0);
                CHECK(strlen(address) > strlen(before) || strcmp(address, before) > 0);
                before = address;
        }
        /* An address names what has it, and nothing else. */
        if (r == 0 && words && !words[1] && pci_address_parse(words[0], &a) >= 0)
                CHECK(json_count(list) == 1 && streq(before, PCI_ADDRESS_STR(&a)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static Ctl c;
        _cleanup_strv_ char **words = NULL;
        unsigned n_stars = 0;

        if (!c.offline)
                open_host(&c);
        for (size_t i = 0; i < size; i++)
                n_stars += data[i] == '*';
        for (size_t n = 0; size > 0 && n < WORDS_MAX; n++) {
                _cleanup_free_ char *word = fuzz_line(&data, &size);

                CHECK(strv_extend(&words, word) == 0);
        }
        if (n_stars > STARS_MAX)
                return 0;
        select_devices(&c, words, SELECT_ALL);
        select_devices(&c, words, SELECT_ENDPOINTS);
        return 0;
}
