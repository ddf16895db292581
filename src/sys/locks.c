/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "sys/locks.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define LOCKS_PATH "run/vfiod/locks"

enum {
        LOCKS_MODE = 0600,
        LOCKS_MAX = 4096, /* that are held at a time */
        SLOT_SIZE = 64,   /* bytes: step and time, for people and for the next daemon */
};

/* Slot 0 is that of rescan. */
static off_t slot_of(const PciAddress *a)
{
        return ((off_t)a->domain << 16 | a->bus << 8 | a->device << 3 | a->function) + 1;
}

static PciAddress address_of(off_t slot)
{
        const uint64_t n = (uint64_t)slot - 1;

        return (PciAddress){ .domain = (uint32_t)(n >> 16),
                             .bus = (uint8_t)(n >> 8),
                             .device = n >> 3 & 31,
                             .function = n & 7 };
}

static int open_locks(const Sysroot *root, int flags)
{
        int fd = openat(root->root, LOCKS_PATH, flags | O_CLOEXEC | O_NOFOLLOW, LOCKS_MODE);

        return fd < 0 ? -errno : fd;
}

static int take_slot(int fd, off_t slot)
{
        struct flock lock = { .l_type = F_WRLCK,
                              .l_whence = SEEK_SET,
                              .l_start = slot * SLOT_SIZE,
                              .l_len = SLOT_SIZE };

        if (fcntl(fd, F_SETLK, &lock) >= 0)
                return 0;
        return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

int locks_take(const Sysroot *root, const PciAddress *address, bool rescan, const char *step)
{
        char text[SLOT_SIZE] = "";
        int r;
        _cleanup_close_ int fd = open_locks(root, O_RDWR | O_CREAT);

        if (fd < 0)
                return fd;
        r = take_slot(fd, slot_of(address));
        if (r >= 0 && rescan)
                r = take_slot(fd, 0);
        if (r < 0)
                return r;
        /* The lock counts without it. */
        snprintf(text, sizeof(text), "%" PRIu64 " %s", now_usec(), step);
        (void)!pwrite(fd, text, sizeof(text), slot_of(address) * SLOT_SIZE);
        return TAKE_FD(fd);
}

typedef struct List {
        HeldLock *locks;
        size_t n;
        pid_t rescan; /* who has that lock */
} List;

static void read_text(int fd, off_t slot, HeldLock *l)
{
        char text[SLOT_SIZE + 1] = "";

        if (pread(fd, text, SLOT_SIZE, slot * SLOT_SIZE) <= 0 ||
            sscanf(text, "%" SCNu64 " %31[a-z-]", &l->since_usec, l->step) != 2)
                l->since_usec = 0;
}

/* Locks of one process on slots side by side are one lock. */
static int add_lock(int fd, const struct flock *lock, List *l)
{
        off_t first = lock->l_start / SLOT_SIZE, end = (lock->l_start + lock->l_len) / SLOT_SIZE;

        for (off_t slot = first; slot < end; slot++) {
                if (slot == 0) {
                        l->rescan = lock->l_pid;
                        continue;
                }
                if (l->n == LOCKS_MAX)
                        return -E2BIG;
                if (!GROW(l->locks, l->n))
                        return -ENOMEM;
                l->locks[l->n] = (HeldLock){ .address = address_of(slot), .pid = lock->l_pid };
                read_text(fd, slot, &l->locks[l->n++]);
        }
        return 0;
}

/*
 * The kernel tells of any lock in the range, not of the first: what lies before and behind it is
 * asked for next. `end` 0: no end.
 */
static int list_range(int fd, off_t start, off_t end, List *l)
{
        struct flock lock = { .l_type = F_WRLCK,
                              .l_whence = SEEK_SET,
                              .l_start = start,
                              .l_len = end > 0 ? end - start : 0 };
        off_t behind;
        int r;

        if (fcntl(fd, F_GETLK, &lock) < 0)
                return -errno;
        if (lock.l_type == F_UNLCK)
                return 0;
        r = add_lock(fd, &lock, l);
        if (r >= 0 && lock.l_start > start)
                r = list_range(fd, start, lock.l_start, l);
        behind = lock.l_start + lock.l_len;
        if (r >= 0 && lock.l_len > 0 && (end == 0 || behind < end))
                r = list_range(fd, behind, end, l);
        return r;
}

int locks_list(const Sysroot *root, HeldLock **ret, size_t *ret_n)
{
        List l = { 0 };
        int r = 0;
        _cleanup_close_ int fd = open_locks(root, O_RDONLY);

        if (fd < 0 && fd != -ENOENT)
                return fd;
        if (fd >= 0)
                r = list_range(fd, 0, 0, &l);
        if (r < 0) {
                free(l.locks);
                return r;
        }
        for (size_t i = 0; i < l.n; i++)
                l.locks[i].rescan = l.locks[i].pid == l.rescan;
        *ret = l.locks;
        *ret_n = l.n;
        return 0;
}
