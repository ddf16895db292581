/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What befalls writes. Each rule counts the writes that match it; from the nth on, for `times`
 * writes, it acts. And a log of all writes.
 */

#include "sim.h"

#include <errno.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARENT = -1 };

typedef enum Act { ACT_ERROR, ACT_DELAY, ACT_HOLD, ACT_KILL, ACT_RUN } Act;

typedef struct Rule {
        char name[NAME_SIZE], path[256], value[NAME_SIZE], command[512];
        unsigned nth, times, matched;
        Act act;
        bool after;     /* the write takes effect first */
        bool forgotten; /* by faults_clear(); with faults.lock */
        int number;     /* errno, milliseconds or pid; 0: the writer; PARENT: its parent */
        struct Rule *next;
} Rule;

typedef struct Entry {
        unsigned number;
        int pid, result;
        bool ended;
        char *path, *value;
} Entry;

static struct {
        pthread_mutex_t lock;
        pthread_cond_t released;
        Rule *rules;
        unsigned held, epoch;
        Entry *log;
        unsigned n_log, allocated, last_number;
        FILE *bound; /* what log_bound() was told */
        char *bound_text;
        size_t bound_size;
} faults = { .lock = PTHREAD_MUTEX_INITIALIZER, .released = PTHREAD_COND_INITIALIZER };

static const struct {
        const char *name;
        int number;
} errnos[] = { { "EPERM", EPERM },   { "ENOENT", ENOENT },         { "EIO", EIO },
               { "EAGAIN", EAGAIN }, { "ENOMEM", ENOMEM },         { "EACCES", EACCES },
               { "EBUSY", EBUSY },   { "EEXIST", EEXIST },         { "ENODEV", ENODEV },
               { "EINVAL", EINVAL }, { "ENOSPC", ENOSPC },         { "EROFS", EROFS },
               { "ERANGE", ERANGE }, { "EOPNOTSUPP", EOPNOTSUPP }, { "ETIMEDOUT", ETIMEDOUT },
               { "ENXIO", ENXIO },   { "EINTR", EINTR },           { "EFAULT", EFAULT } };

static int errno_of(const char *name)
{
        for (size_t i = 0; i < sizeof(errnos) / sizeof(errnos[0]); i++)
                if (strcmp(errnos[i].name, name) == 0)
                        return errnos[i].number;
        return atoi(name);
}

static void set_act(Rule *r, Act act, int number)
{
        r->act = act;
        r->number = number;
}

/* "nth=3", and so on; false: that is no such word. */
static bool take_option(Rule *r, const char *word)
{
        const char *value = strchr(word, '=');
        size_t n = value ? (size_t)(value - word) : strlen(word);

#define IS(name_) (n == strlen(name_) && strncmp(word, name_, n) == 0)
        value = value ? value + 1 : "";
        if (IS("nth"))
                r->nth = (unsigned)strtoul(value, NULL, 10);
        else if (IS("times"))
                r->times = (unsigned)strtoul(value, NULL, 10);
        else if (IS("path"))
                snprintf(r->path, sizeof(r->path), "%s", value);
        else if (IS("value"))
                snprintf(r->value, sizeof(r->value), "%s", value);
        else if (IS("name"))
                snprintf(r->name, sizeof(r->name), "%s", value);
        else if (IS("after"))
                r->after = true;
        else if (IS("errno"))
                set_act(r, ACT_ERROR, errno_of(value));
        else if (IS("delay"))
                set_act(r, ACT_DELAY, atoi(value));
        else if (IS("kill"))
                set_act(r, ACT_KILL, strcmp(value, "parent") == 0 ? PARENT : atoi(value));
        else if (IS("hold"))
                r->act = ACT_HOLD;
        else
                return false;
        return true;
#undef IS
}

int faults_add(int argc, char *argv[], char *error, size_t size)
{
        Rule *r = calloc(1, sizeof(Rule)), **last = &faults.rules;
        int i;

        if (!r)
                return -ENOMEM;
        *r = (Rule){ .path = "*", .value = "*", .nth = 1, .times = 1, .act = ACT_HOLD };
        for (i = 1; i < argc && strcmp(argv[i], "run") != 0; i++)
                if (!take_option(r, argv[i])) {
                        snprintf(error, size, "fault: no such word: '%s'", argv[i]);
                        free(r);
                        return -EINVAL;
                }
        if (i < argc)
                r->act = ACT_RUN;
        for (i++; i < argc; i++) {
                size_t n = strlen(r->command);

                snprintf(r->command + n, sizeof(r->command) - n, "%s%s", n ? " " : "", argv[i]);
        }
        pthread_mutex_lock(&faults.lock);
        while (*last)
                last = &(*last)->next;
        *last = r;
        pthread_mutex_unlock(&faults.lock);
        return 0;
}

/* Rules stay in memory: a write may be in one, and others may wait for it. */
void faults_clear(void)
{
        pthread_mutex_lock(&faults.lock);
        for (Rule *r = faults.rules; r; r = r->next)
                r->forgotten = true;
        faults.rules = NULL;
        pthread_mutex_unlock(&faults.lock);
        faults_release();
}

void faults_release(void)
{
        pthread_mutex_lock(&faults.lock);
        faults.epoch++;
        pthread_cond_broadcast(&faults.released);
        pthread_mutex_unlock(&faults.lock);
}

unsigned faults_held(void)
{
        return faults.held;
}

static void hold(const Rule *r)
{
        unsigned epoch;

        pthread_mutex_lock(&faults.lock);
        epoch = faults.epoch;
        faults.held++;
        while (faults.epoch == epoch && !r->forgotten)
                pthread_cond_wait(&faults.released, &faults.lock);
        faults.held--;
        pthread_mutex_unlock(&faults.lock);
}

static int parent_of(int pid)
{
        char path[64];
        int parent = 0;
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        f = fopen(path, "re");
        if (f && fscanf(f, "%*d (%*[^)]) %*c %d", &parent) != 1)
                parent = 0;
        if (f)
                fclose(f);
        return parent;
}

/* A writer that lost its parent belongs to the first process, which is not meant. */
static void kill_one(int number, int writer)
{
        int pid = number == PARENT ? parent_of(writer) : number ? number : writer;

        if (pid > 1)
                (void)kill(pid, SIGKILL);
}

static bool is_forgotten(const Rule *r)
{
        bool forgotten;

        pthread_mutex_lock(&faults.lock);
        forgotten = r->forgotten;
        pthread_mutex_unlock(&faults.lock);
        return forgotten;
}

/* 0: go on. Without faults.lock. */
static int run_rule(const Rule *r, const Write *w)
{
        const struct timespec t = { r->number / 1000, r->number % 1000 * 1000000L };
        char command[sizeof(r->command)];

        if (is_forgotten(r))
                return 0;
        switch (r->act) {
        case ACT_ERROR:
                return -r->number;
        case ACT_DELAY:
                nanosleep(&t, NULL);
                return 0;
        case ACT_HOLD:
                hold(r);
                return 0;
        case ACT_KILL:
                kill_one(r->number, w->pid);
                /* A writer that is killed before never wrote. */
                return r->after ? 0 : -EINTR;
        case ACT_RUN:
                memcpy(command, r->command, sizeof(command));
                (void)control_run(command, NULL);
                return 0;
        }
        return 0;
}

static bool matches(Rule *r, const Write *w)
{
        if (fnmatch(r->path, w->path, 0) != 0 || fnmatch(r->value, w->value, 0) != 0)
                return false;
        r->matched++;
        return r->matched >= r->nth && r->matched - r->nth < r->times;
}

static void note(Write *w)
{
        if (faults.n_log == faults.allocated) {
                unsigned n = faults.allocated ? faults.allocated * 2 : 1024;
                Entry *grown = realloc(faults.log, n * sizeof(Entry));

                if (!grown)
                        return;
                faults.log = grown;
                faults.allocated = n;
        }
        w->number = ++faults.last_number;
        faults.log[faults.n_log++] =
                (Entry){ w->number, w->pid, 0, false, strdup(w->path), strdup(w->value) };
}

int write_begins(Write *w)
{
        const Rule *now[16];
        unsigned n = 0;
        int r = 0;

        pthread_mutex_lock(&faults.lock);
        note(w);
        for (Rule *i = faults.rules; i; i = i->next) {
                if (!matches(i, w))
                        continue;
                if (i->after)
                        w->after = i;
                else if (n < 16)
                        now[n++] = i;
        }
        pthread_mutex_unlock(&faults.lock);
        for (unsigned i = 0; i < n; i++) {
                int error = run_rule(now[i], w);

                r = r < 0 ? r : error;
        }
        return r;
}

int write_ends(const Write *w, int result)
{
        int r = w->after ? run_rule(w->after, w) : 0;

        pthread_mutex_lock(&faults.lock);
        for (unsigned i = faults.n_log; i-- > 0;)
                if (faults.log[i].number == w->number) {
                        faults.log[i].result = r < 0 ? r : result;
                        faults.log[i].ended = true;
                        break;
                }
        pthread_mutex_unlock(&faults.lock);
        return r < 0 ? r : result;
}

unsigned log_count(void)
{
        return faults.n_log;
}

void log_clear(bool all)
{
        unsigned kept = 0;

        pthread_mutex_lock(&faults.lock);
        for (unsigned i = 0; i < faults.n_log; i++) {
                if (!all && !faults.log[i].ended) {
                        faults.log[kept++] = faults.log[i];
                        continue;
                }
                free(faults.log[i].path);
                free(faults.log[i].value);
        }
        faults.n_log = kept;
        if (faults.bound)
                fclose(faults.bound);
        faults.bound = NULL;
        free(faults.bound_text);
        faults.bound_text = NULL;
        pthread_mutex_unlock(&faults.lock);
}

static void write_string(FILE *f, const char *text)
{
        fputc('"', f);
        for (; *text; text++)
                if (*text < ' ' || *text == '"' || *text == '\\')
                        fprintf(f, "\\u%04x", (unsigned char)*text);
                else
                        fputc(*text, f);
        fputc('"', f);
}

/* A write that is under way has no result. */
void log_dump(FILE *f)
{
        pthread_mutex_lock(&faults.lock);
        fputc('[', f);
        for (unsigned i = 0; i < faults.n_log; i++) {
                const Entry *e = &faults.log[i];

                fprintf(f, "%s{\"pid\":%d,\"path\":", i ? "," : "", e->pid);
                write_string(f, e->path);
                fprintf(f, ",\"value\":");
                write_string(f, e->value);
                if (e->ended)
                        fprintf(f, ",\"result\":%d}", e->result);
                else
                        fprintf(f, ",\"result\":null}");
        }
        fprintf(f, "]\n");
        pthread_mutex_unlock(&faults.lock);
}

void log_bound(const char *device, const char *driver)
{
        pthread_mutex_lock(&faults.lock);
        if (!faults.bound)
                faults.bound = open_memstream(&faults.bound_text, &faults.bound_size);
        if (faults.bound)
                fprintf(faults.bound, "%s %s\n", device, driver);
        pthread_mutex_unlock(&faults.lock);
}

void log_dump_bound(FILE *f)
{
        pthread_mutex_lock(&faults.lock);
        if (faults.bound && fflush(faults.bound) == 0)
                fwrite(faults.bound_text, 1, faults.bound_size, f);
        pthread_mutex_unlock(&faults.lock);
}
