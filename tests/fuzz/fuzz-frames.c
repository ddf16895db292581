/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What daemon and worker send to each other. The worker performs what passes its check, on a root
 * directory that has no devices.
 */

#include "fuzz.h"
#include "worker/steps.h"

static Sysroot open_root(void)
{
        Sysroot root;

        fuzz_file("sys/bus/pci/drivers/nvme/bind", "", 0);
        fuzz_file("dev/vfio/12", "", 0);
        CHECK(sysroot_open(fuzz_root_path(), &root) == 0);
        return root;
}

/* Each answer is one that the daemon takes, and that says whose it is. */
static void run(const WorkerRequest *q)
{
        static Sysroot root;
        WorkerReply p;
        int r;

        if (!root.prefix)
                root = open_root();
        CHECK(memchr(q->argument, 0, sizeof(q->argument)));
        CHECK(q->verb < _WORKER_VERB_MAX && q->address.device < 32 && q->address.function < 8);
        if (q->verb == WORKER_NODE_ACCESS) /* would change owners */
                return;
        r = step_run(&root, q, &p);
        CHECK(r <= 0 && p.error == -r && p.id == q->id);
        CHECK(worker_reply_check(&p, sizeof(p)) == 0);
}

static void check_request(const void *data, size_t size)
{
        WorkerRequest q;

        if (worker_request_check(data, size) < 0)
                return;
        CHECK(size == sizeof(q));
        memcpy(&q, data, sizeof(q));
        run(&q);
}

static void check_reply(const void *data, size_t size)
{
        WorkerReply p;

        if (worker_reply_check(data, size) < 0)
                return;
        CHECK(size == sizeof(p));
        memcpy(&p, data, sizeof(p));
        CHECK(memchr(p.text, 0, sizeof(p.text)) && p.n_vfs <= WORKER_VFS_MAX);
        for (size_t i = 0; i < p.n_vfs; i++)
                free(vf_settings_format(&p.vfs[i]));
}

/* As it is, and as a frame of the right size and version. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        WorkerRequest q = { 0 };
        WorkerReply p = { 0 };

        check_request(data, size);
        check_reply(data, size);
        if (size > 0) {
                memcpy(&q, data, MIN(size, sizeof(q)));
                memcpy(&p, data, MIN(size, sizeof(p)));
        }
        q.version = p.version = WORKER_PROTOCOL_VERSION;
        check_request(&q, sizeof(q));
        check_reply(&p, sizeof(p));
        return 0;
}
