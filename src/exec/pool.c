/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "exec/pool.h"
#include "exec/start.h"
#include "sys/locks.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What a worker has said is read before its exit, or the end of its time, is seen. */
enum { EXIT_PRIORITY = SD_EVENT_PRIORITY_NORMAL + 10 };

typedef struct Pending {
        WorkerRequest request;
        uint64_t timeout_usec;
        pool_handler_t handler; /* NULL: it was another daemon's */
        void *userdata;
        struct Pending *next;
} Pending;

typedef struct Worker {
        Pool *pool;
        pid_t pid; /* 0: it has not said yet */
        int fd;    /* the socket, closed once only its exit is waited for; of another daemon's its
                      process */
        sd_event_source *io, *child, *timer;
        Pending *current;
        bool abandoned;
        struct Worker *next;
} Worker;

struct Pool {
        sd_event *event;
        char *path;
        const Sysroot *root;
        unsigned max_workers;
        pool_hold_handler_t hold;
        void *userdata;
        Worker *workers;
        Pending *queue, **queue_tail;
        sd_event_source *kick; /* hands out queued requests once per loop turn */
        uint64_t next_id;
};

static Worker *worker_free(Worker *w)
{
        if (!w)
                return NULL;
        for (Worker **p = &w->pool->workers; *p; p = &(*p)->next)
                if (*p == w) {
                        *p = w->next;
                        break;
                }
        sd_event_source_disable_unref(w->io);
        sd_event_source_disable_unref(w->child);
        sd_event_source_disable_unref(w->timer);
        if (w->fd >= 0)
                close(w->fd);
        free(w->current);
        free(w);
        return NULL;
}
DEFINE_CLEANUP_FUNC(Worker *, worker_free);

/*
 * Lets go of a worker that will answer no more. It ends by itself and is reaped then. Not before
 * that it counts as dead: until then it has its locks.
 */
static void worker_close(Worker *w)
{
        w->io = sd_event_source_disable_unref(w->io);
        close(w->fd);
        w->fd = -EBADF;
}

/* Ends the current request, or says that an abandoned one came to its end. */
static void worker_finish(Worker *w, PoolOutcome outcome, const WorkerReply *reply)
{
        _cleanup_free_ Pending *p = TAKE_PTR(w->current);
        Pool *pool = w->pool;

        if (!p)
                return;
        if (w->timer)
                (void)sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(pool->kick, SD_EVENT_ONESHOT);
        if (!p->handler || w->abandoned)
                pool->hold(&p->request.address, POOL_FREE, pool->userdata);
        if (p->handler && !w->abandoned)
                p->handler(&p->request, outcome, reply, p->userdata);
}

/* The worker found another one at work that this pool does not know of. */
static bool was_locked(Pool *p, const WorkerReply *reply)
{
        if (!reply->not_begun || reply->error != EBUSY)
                return false;
        /* If that fails, the device is tried again like any other that failed. */
        (void)!pool_adopt(p, 0);
        return true;
}

static int worker_died(Worker *w)
{
        worker_finish(w, w->pid > 0 ? POOL_DIED : POOL_NO_WORKER, NULL);
        worker_free(w);
        return 0;
}

static int on_child_exit(sd_event_source *s, const siginfo_t *si, void *userdata)
{
        return worker_died(userdata);
}

/* Of one that is no child of this process. */
static int on_process_exit(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        return worker_died(userdata);
}

static int open_process(pid_t pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        return fd < 0 ? -errno : fd;
}

static int worker_arm(Worker *w, uint64_t timeout_usec)
{
        int r;

        if (timeout_usec == USEC_INFINITY)
                return sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
        r = sd_event_source_set_time_relative(w->timer, timeout_usec);
        return r < 0 ? r : sd_event_source_set_enabled(w->timer, SD_EVENT_ONESHOT);
}

/*
 * A worker that the service of workers has started says who it is before anything else. It is that
 * process if it has its socket open once the process is held on to.
 */
static int worker_meet(Worker *w, pid_t pid)
{
        struct pollfd p = { .fd = w->fd, .events = POLLRDHUP };
        _cleanup_close_ int fd = open_process(pid);
        int r;

        w->pid = pid; /* from now on it may be at work */
        if (fd < 0)
                return fd;
        if (poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR))
                return -ESRCH;
        r = sd_event_add_io(w->pool->event, &w->child, fd, EPOLLIN, on_process_exit, w);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(w->child, true);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        r = sd_event_source_set_priority(w->child, EXIT_PRIORITY);
        return r < 0 || !w->current ? r : worker_arm(w, w->current->timeout_usec);
}

static int on_worker_io(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Worker *w = userdata;
        WorkerReply reply;
        ssize_t n = recv(fd, &reply, sizeof(reply), MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n > 0 && w->pid == 0 && worker_reply_check(&reply, (size_t)n) >= 0 && reply.id == 0 &&
            worker_meet(w, reply.pid) >= 0)
                return 0;
        if (n > 0 && w->current && worker_reply_check(&reply, (size_t)n) >= 0 &&
            reply.id == w->current->request.id) {
                worker_finish(w, was_locked(w->pool, &reply) ? POOL_CLOSED : POOL_REPLIED, &reply);
                if (!w->abandoned)
                        return 0;
        }
        /* Nothing else would tell of its end. */
        if (!w->child)
                return worker_died(w);
        worker_close(w);
        return 0;
}

static int on_worker_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
        Worker *w = userdata;
        const Pending *p = w->current;

        if (!p || w->abandoned)
                return 0;
        /* Its service has not got to it. Whoever does later finds the socket closed, and ends. */
        if (w->pid == 0)
                return worker_died(w);
        w->abandoned = true;
        if (worker_verb_locks(p->request.verb))
                w->pool->hold(&p->request.address, POOL_STUCK, w->pool->userdata);
        if (p->handler)
                p->handler(&p->request, POOL_TIMED_OUT, NULL, p->userdata);
        return sd_event_source_set_enabled(w->pool->kick, SD_EVENT_ONESHOT);
}

/* Adds it to the pool, with its descriptor and a timer that is off. */
static int worker_listen(Worker *w, sd_event_io_handler_t handler)
{
        Pool *p = w->pool;
        int r;

        w->next = p->workers;
        p->workers = w;
        r = sd_event_add_io(p->event, &w->io, w->fd, EPOLLIN, handler, w);
        if (r >= 0)
                r = sd_event_add_time(p->event, &w->timer, CLOCK_MONOTONIC, 0, 0, on_worker_timeout,
                                      w);
        if (r >= 0)
                r = sd_event_source_set_priority(w->timer, EXIT_PRIORITY);
        return r < 0 ? r : sd_event_source_set_enabled(w->timer, SD_EVENT_OFF);
}

static int worker_new(Pool *p, Worker **ret)
{
        _cleanup_(worker_freep) Worker *w = calloc(1, sizeof(Worker));
        int r;

        if (!w)
                return -ENOMEM;
        *w = (Worker){ .pool = p, .fd = -EBADF };
        r = worker_start(p->path, p->root, &w->fd, &w->pid);
        if (r >= 0)
                r = worker_listen(w, on_worker_io);
        if (r >= 0 && w->pid > 0)
                r = sd_event_add_child(p->event, &w->child, w->pid, WEXITED, on_child_exit, w);
        if (r >= 0 && w->pid > 0)
                r = sd_event_source_set_priority(w->child, EXIT_PRIORITY);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

static Worker *find_idle(const Pool *p, unsigned *ret_active)
{
        Worker *idle = NULL;
        unsigned n = 0;

        for (Worker *w = p->workers; w; w = w->next) {
                if (w->abandoned || w->fd < 0)
                        continue;
                n++;
                if (!w->current)
                        idle = w;
        }
        *ret_active = n;
        return idle;
}

/* Takes over `pending`; a worker that cannot be asked counts as one that died. */
static void worker_ask(Worker *w, Pending *pending)
{
        int r;

        w->current = pending;
        r = worker_arm(w, w->pid == 0 ? WORKER_START_USEC : pending->timeout_usec);
        if (r >= 0 && send(w->fd, &pending->request, sizeof(pending->request),
                           MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                r = -errno;
        if (r < 0)
                (void)shutdown(w->fd, SHUT_RDWR); /* the end is seen as if it were the worker's */
}

/* Two requests for one device, or two that change a number of VFs, are not under way together. */
static bool requests_meet(const WorkerRequest *a, const WorkerRequest *b)
{
        if (!worker_verb_locks(a->verb) || !worker_verb_locks(b->verb))
                return false;
        return pci_address_equal(&a->address, &b->address) ||
               (a->verb == WORKER_SET_NUMVFS && b->verb == WORKER_SET_NUMVFS);
}

/* The worker that keeps the request from being sent; one that is stuck rather than a busy one. */
static const Worker *find_obstacle(const Pool *p, const WorkerRequest *q)
{
        const Worker *obstacle = NULL;

        for (const Worker *w = p->workers; w; w = w->next)
                if (w->current && requests_meet(&w->current->request, q) &&
                    (!obstacle || w->abandoned))
                        obstacle = w;
        return obstacle;
}

static Pending *queue_take(Pool *p, Pending **at)
{
        Pending *taken = *at;

        *at = taken->next;
        if (!*at)
                p->queue_tail = at;
        return taken;
}

/* What cannot be sent now waits; what must not be sent at all has its end. */
static int on_kick(sd_event_source *s, void *userdata)
{
        Pool *p = userdata;

        for (Pending **at = &p->queue; *at;) {
                const Worker *obstacle = find_obstacle(p, &(*at)->request);
                Worker *w = NULL;
                Pending *pending;
                unsigned active;
                int r = 0;

                if (obstacle && !obstacle->abandoned) {
                        at = &(*at)->next;
                        continue;
                }
                if (!obstacle) {
                        w = find_idle(p, &active);
                        if (!w && active >= p->max_workers)
                                return 0;
                        if (!w)
                                r = worker_new(p, &w);
                        if (r < 0 && active > 0)
                                return 0;
                }
                pending = queue_take(p, at);
                if (w) {
                        worker_ask(w, pending);
                        continue;
                }
                pending->handler(&pending->request, obstacle ? POOL_CLOSED : POOL_NO_WORKER, NULL,
                                 pending->userdata);
                free(pending);
        }
        return 0;
}

int pool_new(sd_event *event, const char *worker, const Sysroot *root, unsigned max_workers,
             pool_hold_handler_t hold, void *userdata, Pool **ret)
{
        _cleanup_(pool_freep) Pool *p = calloc(1, sizeof(Pool));
        int r;

        if (!p)
                return -ENOMEM;
        p->event = sd_event_ref(event);
        p->root = root;
        p->max_workers = max_workers;
        p->hold = hold;
        p->userdata = userdata;
        p->queue_tail = &p->queue;
        p->path = strdup(worker);
        if (!p->path)
                return -ENOMEM;
        r = sd_event_add_defer(event, &p->kick, on_kick, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->kick, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

Pool *pool_free(Pool *p)
{
        if (!p)
                return NULL;
        while (p->workers)
                worker_free(p->workers);
        while (p->queue) {
                Pending *next = p->queue->next;

                free(p->queue);
                p->queue = next;
        }
        sd_event_source_disable_unref(p->kick);
        sd_event_unref(p->event);
        free(p->path);
        free(p);
        return NULL;
}

int pool_submit(Pool *p, const WorkerRequest *q, uint64_t timeout_usec, pool_handler_t handler,
                void *userdata)
{
        Pending *pending = calloc(1, sizeof(Pending));

        if (!pending)
                return -ENOMEM;
        *pending = (Pending){ *q, timeout_usec, handler, userdata, NULL };
        pending->request.version = WORKER_PROTOCOL_VERSION;
        pending->request.id = ++p->next_id;
        *p->queue_tail = pending;
        p->queue_tail = &pending->next;
        return sd_event_source_set_enabled(p->kick, SD_EVENT_ONESHOT);
}

void pool_set_max_workers(Pool *p, unsigned max_workers)
{
        p->max_workers = max_workers;
}

/*
 * The process is the one that has the lock if it has it still once it is held on to: its number
 * cannot have become another's.
 */
static int open_holder(const Pool *p, const HeldLock *l)
{
        _cleanup_close_ int fd = open_process(l->pid);
        _cleanup_free_ HeldLock *locks = NULL;
        size_t n;
        int r;

        if (fd < 0)
                return fd;
        r = locks_list(p->root, &locks, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++)
                if (locks[i].pid == l->pid && pci_address_equal(&locks[i].address, &l->address))
                        return TAKE_FD(fd);
        return -ESRCH;
}

static int adopt(Pool *p, const HeldLock *l, uint64_t timeout_usec)
{
        _cleanup_(worker_freep) Worker *w = calloc(1, sizeof(Worker));
        int verb = l->rescan ? WORKER_SET_NUMVFS : worker_verb_from_string(l->step), r;
        uint64_t age = now_usec() - l->since_usec;

        if (!w)
                return -ENOMEM;
        *w = (Worker){ .pool = p, .pid = l->pid, .fd = -EBADF };
        w->current = calloc(1, sizeof(Pending));
        if (!w->current)
                return -ENOMEM;
        w->current->request.address = l->address;
        w->current->request.verb = verb < 0 ? _WORKER_VERB_MAX : (WorkerVerb)verb;
        w->fd = open_holder(p, l);
        if (w->fd < 0)
                return w->fd == -ESRCH ? 0 : w->fd;
        w->abandoned = timeout_usec < age;
        r = worker_listen(w, on_process_exit);
        if (r >= 0 && !w->abandoned)
                r = worker_arm(w,
                               timeout_usec == USEC_INFINITY ? timeout_usec : timeout_usec - age);
        if (r < 0)
                return r;
        p->hold(&l->address, w->abandoned ? POOL_STUCK : POOL_BUSY, p->userdata);
        TAKE_PTR(w);
        return 0;
}

/* Any may be one of this pool that has not said yet who it is. */
static bool is_known(const Pool *p, pid_t pid)
{
        for (const Worker *w = p->workers; w; w = w->next)
                if (w->pid == pid || w->pid == 0)
                        return true;
        return false;
}

int pool_adopt(Pool *p, uint64_t timeout_usec)
{
        _cleanup_free_ HeldLock *locks = NULL;
        int failed = 0, r;
        size_t n;

        r = locks_list(p->root, &locks, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = is_known(p, locks[i].pid) ? 0 : adopt(p, &locks[i], timeout_usec);
                failed = r < 0 ? r : failed;
        }
        return failed;
}

pid_t pool_find_stuck(const Pool *p, const PciAddress *address, WorkerVerb *ret_verb)
{
        const Worker *found = NULL;

        /* What has the lock of the device says more than a read that has not. */
        for (const Worker *w = p->workers; w; w = w->next)
                if (w->abandoned && w->current &&
                    pci_address_equal(&w->current->request.address, address) &&
                    (!found || worker_verb_locks(w->current->request.verb)))
                        found = w;
        if (found && ret_verb)
                *ret_verb = found->current->request.verb;
        return found ? found->pid : 0;
}
