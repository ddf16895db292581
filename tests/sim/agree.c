/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * agree LIST [KERNEL]: performs the operations of a list (agreement.ops says how it is written),
 * prints what came of each, and marks what is not as the list expects. The same program runs in the
 * simulated host and on real kernels. KERNEL is 5.10, 6.1 or 6.12; else uname(2) tells.
 *
 * Exit status: 0 all is as expected, 1 something is not, 2 the list means nothing.
 */

#include "agree.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SHORT_MSEC = 500, LONG_MSEC = 30000 };

static unsigned n_done, n_wrong;
char kernel[16];

/* What a child process does, and what came of it. */
static struct Child {
        pid_t pid;
        struct {
                volatile bool ended;
                char text[TEXT];
        } * result;
} child[2];

enum { WRITER, HOLDER };

static const char *errno_name(int number)
{
        const char *name = strerrorname_np(number);

        return name ? name : "?";
}

static void do_write(const char *path, const char *data, size_t size, char *out)
{
        int fd = open(path, O_WRONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : write(fd, data, size);

        snprintf(out, TEXT, "%s", n < 0 ? errno_name(errno) : (size_t)n == size ? "ok" : "short");
        if (fd >= 0)
                close(fd);
}

static void do_read(const char *path, char *out)
{
        char text[TEXT];

        if (read_text(path, text, sizeof(text)))
                print_text(out, TEXT, text);
        else
                snprintf(out, TEXT, "%s", errno_name(errno));
}

static void nap(void)
{
        const struct timespec t = { .tv_nsec = 10000000L };

        nanosleep(&t, NULL);
}

static bool wait_child(const struct Child *c, unsigned msec)
{
        for (unsigned i = 0; i < msec / 10 && !c->result->ended; i++)
                nap();
        return c->result->ended;
}

/* In the child: the group, and the device where it is a real one. */
static void hold_open(const char *node, const char *address, char *out)
{
        int group = open(node, O_RDWR | O_CLOEXEC), container, type = VFIO_TYPE1_IOMMU;
        struct vfio_group_status status = { .argsz = sizeof(status) };

        snprintf(out, TEXT, "%s", group < 0 ? errno_name(errno) : "open");
        if (group < 0 || ioctl(group, VFIO_GROUP_GET_STATUS, &status) < 0)
                return; /* the simulated host: an open node is a device in use */
        container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
        if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0 ||
            ioctl(container, VFIO_SET_IOMMU, type) < 0 ||
            ioctl(group, VFIO_GROUP_GET_DEVICE_FD, address) < 0)
                snprintf(out, TEXT, "device %s", errno_name(errno));
}

static void start(struct Child *c, void (*run)(char **words, char *out), char **words)
{
        c->result = mmap(NULL, sizeof(*c->result), PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (c->result == MAP_FAILED)
                err(2, "cannot start a child");
        fflush(stdout);
        c->pid = fork();
        if (c->pid == 0) {
                run(words, c->result->text);
                c->result->ended = true;
                while (c == &child[HOLDER])
                        pause();
                _exit(0);
        }
}

static void finish(struct Child *c)
{
        if (c == &child[HOLDER])
                (void)kill(c->pid, SIGKILL);
        (void)waitpid(c->pid, NULL, 0);
        munmap(c->result, sizeof(*c->result));
}

static void run_write(char **words, char *out)
{
        char path[TEXT], value[8192];
        size_t n;

        expand(words[1], path, sizeof(path));
        if (strncmp(words[2], "repeat:", 7) == 0) {
                n = strtoul(words[2] + 7, NULL, 10);
                memset(value, 'x', n < sizeof(value) ? n : sizeof(value));
        } else if (strchr(words[2], '$')) {
                expand(words[2], value, sizeof(value));
                n = unquote(value);
        } else {
                snprintf(value, sizeof(value), "%s", words[2]);
                n = unquote(value);
        }
        do_write(path, value, n, out);
}

static void run_read(char **words, char *out)
{
        char path[TEXT];

        expand(words[1], path, sizeof(path));
        do_read(path, out);
}

static void run_open(char **words, char *out)
{
        char word[64], node[TEXT];

        snprintf(word, sizeof(word), "N/%s", words[1]);
        expand(word, node, sizeof(node));
        hold_open(node, role(words[1] + 1, strlen(words[1] + 1)), out);
}

static void run_link(char **words, char *out)
{
        char path[TEXT], name[TEXT];

        expand(words[1], path, sizeof(path));
        if (read_link(path, name, sizeof(name)))
                print_text(out, TEXT, name);
        else
                snprintf(out, TEXT, "%s", errno_name(errno));
}

static void run_exists(char **words, char *out)
{
        char path[TEXT];

        expand(words[1], path, sizeof(path));
        snprintf(out, TEXT, "%s", access(path, F_OK) == 0 ? "yes" : "no");
}

/* count FOLDER PREFIX */
static void run_count(char **words, char *out)
{
        char path[TEXT];
        unsigned n = 0;
        DIR *dir;

        expand(words[1], path, sizeof(path));
        dir = opendir(path);
        for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
                n += strncmp(e->d_name, words[2], strlen(words[2])) == 0;
        if (dir)
                closedir(dir);
        snprintf(out, TEXT, "%u", n);
}

/* tryread PATH: "waits" where it takes somebody's lock. The child ends when that is let go. */
static void run_tryread(char **words, char *out)
{
        struct Child c;

        start(&c, run_read, words);
        snprintf(out, TEXT, "%s", wait_child(&c, SHORT_MSEC) ? c.result->text : "waits");
}

static void run_start(char **words, char *out)
{
        start(&child[WRITER], run_write, words);
        snprintf(out, TEXT, "%s",
                 wait_child(&child[WRITER], SHORT_MSEC) ? child[WRITER].result->text : "waits");
}

static void run_ended(char **words, char *out)
{
        snprintf(out, TEXT, "%s",
                 wait_child(&child[WRITER], LONG_MSEC) ? child[WRITER].result->text : "waits");
        finish(&child[WRITER]);
}

static void run_hold(char **words, char *out)
{
        start(&child[HOLDER], run_open, words);
        snprintf(out, TEXT, "%s",
                 wait_child(&child[HOLDER], LONG_MSEC) ? child[HOLDER].result->text : "waits");
}

static void run_let_go(char **words, char *out)
{
        finish(&child[HOLDER]);
        snprintf(out, TEXT, "ok");
}

/* open NODE: once, and closed at once */
static void run_try_open(char **words, char *out)
{
        char path[TEXT];
        int fd;

        expand(words[1], path, sizeof(path));
        fd = open(path, O_RDWR | O_CLOEXEC);
        snprintf(out, TEXT, "%s", fd < 0 ? errno_name(errno) : "ok");
        if (fd >= 0)
                close(fd);
}

/* samegroup $A $B */
static void run_same(char **words, char *out)
{
        char path[TEXT], a[64] = "a", b[64] = "b";

        snprintf(path, sizeof(path), DEVICES "%s/iommu_group",
                 role(words[1] + 1, strlen(words[1]) - 1));
        (void)read_link(path, a, sizeof(a));
        snprintf(path, sizeof(path), DEVICES "%s/iommu_group",
                 role(words[2] + 1, strlen(words[2]) - 1));
        (void)read_link(path, b, sizeof(b));
        snprintf(out, TEXT, "%s", strcmp(a, b) == 0 ? "yes" : "no");
}

/* let NAME PATH: a role for what a link leads to */
static void run_let(char **words, char *out)
{
        char path[TEXT], name[TEXT] = "absent";

        expand(words[2], path, sizeof(path));
        (void)read_link(path, name, sizeof(name));
        set_role(words[1], name);
        snprintf(out, TEXT, "%s", strcmp(name, "absent") == 0 ? "absent" : "ok");
}

static bool has_number(const char *address, const char *attribute, unsigned long wanted)
{
        char path[TEXT], text[64];

        snprintf(path, sizeof(path), DEVICES "%s/%s", address, attribute);
        return read_text(path, text, sizeof(text)) && strtoul(text, NULL, 0) == wanted;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
        return strcmp((*a)->d_name, (*b)->d_name);
}

/* role NAME VENDOR:DEVICE [INDEX [ATTRIBUTE VALUE]] */
static void run_role(char **words, char *out)
{
        unsigned vendor = 0, device = 0, index = words[3] ? (unsigned)atoi(words[3]) : 0;
        const char *found = "absent";
        struct dirent **names;
        int n = scandir(DEVICES, &names, NULL, compare_names);

        (void)sscanf(words[2], "%x:%x", &vendor, &device);
        for (int i = 0; i < n; i++) {
                const char *a = names[i]->d_name;

                if (has_number(a, "vendor", vendor) && has_number(a, "device", device) &&
                    (!words[3] || !words[4] || !words[5] ||
                     has_number(a, words[4], strtoul(words[5], NULL, 10))) &&
                    index-- == 0) {
                        found = a;
                        break;
                }
        }
        set_role(words[1], found);
        snprintf(out, TEXT, "%s", strcmp(found, "absent") == 0 ? "absent" : "ok");
}

/* module DRIVER: loads it where it is missing, as on a real host */
static void run_module(char **words, char *out)
{
        char path[TEXT];

        snprintf(path, sizeof(path), DRIVERS "%s/bind", words[1]);
        if (access(path, F_OK) < 0) {
                char command[TEXT];

                snprintf(command, sizeof(command), "modprobe -q %s", words[1]);
                (void)!system(command);
        }
        snprintf(out, TEXT, "%s", access(path, F_OK) == 0 ? "yes" : "no");
}

static const struct {
        const char *name;
        int words;
        void (*run)(char **words, char *out);
} operations[] = {
        { "write", 3, run_write },   { "read", 2, run_read },     { "link", 2, run_link },
        { "exists", 2, run_exists }, { "count", 3, run_count },   { "tryread", 2, run_tryread },
        { "start", 3, run_start },   { "ended", 1, run_ended },   { "hold", 2, run_hold },
        { "letgo", 1, run_let_go },  { "let", 3, run_let },       { "role", 3, run_role },
        { "module", 2, run_module }, { "open", 2, run_try_open }, { "same", 3, run_same },
};

static void run_line(char *line, unsigned number)
{
        char *arrow = strstr(line, " -> "), *words[MAX_WORDS], **w = words, out[TEXT] = "",
             shown[TEXT];
        const char *expected = arrow ? find_expected(arrow + 4) : NULL;
        int n;

        if (arrow)
                *arrow = 0;
        snprintf(shown, sizeof(shown), "%.*s", (int)strcspn(line, "\n"), line);
        n = split(line, words);
        if (n == 0 || words[0][0] == '#')
                return;
        if (words[0][0] == '@') {
                if (!is_for_kernel(words[0] + 1))
                        return;
                w++;
                n--;
        }
        for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
                if (strcmp(operations[i].name, w[0]) != 0 || n < operations[i].words)
                        continue;
                operations[i].run(w, out);
                n_done++;
                printf("%u: %s -> %s", number, shown, out);
                if (expected && strcmp(out, expected) != 0) {
                        printf("   DIFFERS: expected %s", expected);
                        n_wrong++;
                }
                printf("\n");
                fflush(stdout);
                return;
        }
        errx(2, "line %u: no such operation: '%s'", number, w[0]);
}

int main(int argc, char *argv[])
{
        FILE *f = argc > 1 ? fopen(argv[1], "r") : NULL;
        unsigned major = 0, minor = 0, number = 0;
        struct utsname u;
        char line[TEXT];

        if (!f || uname(&u) < 0)
                errx(2, "usage: agree LIST [KERNEL]");
        (void)sscanf(argc > 2 ? argv[2] : u.release, "%u.%u", &major, &minor);
        snprintf(kernel, sizeof(kernel), "%u.%u", major, minor);
        (void)signal(SIGPIPE, SIG_IGN);
        while (fgets(line, sizeof(line), f))
                run_line(line, ++number);
        fclose(f);
        printf("kernel %s: %u operations, %u differ\n", kernel, n_done, n_wrong);
        return n_wrong > 0;
}
