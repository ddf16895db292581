/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Runs in the guest: takes shell scripts from a virtio port and answers with what they returned.
 *
 *   agent -> host   "ready\n", once
 *   host -> agent   "LENGTH SECONDS\n", then the script
 *   agent -> host   "STATUS OUTLENGTH ERRLENGTH\n", then both outputs
 *
 * Output goes through files, so that a process that a script leaves behind holds no answer up. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT "/dev/virtio-ports/vm.agent"
#define SCRIPT "/run/vm-agent/script"
#define OUTPUT "/run/vm-agent/stdout"
#define ERRORS "/run/vm-agent/stderr"
#define SCRIPT_MAX (4U << 20)

static void die(const char *what)
{
        perror(what);
        exit(EXIT_FAILURE);
}

static void write_all(int fd, const char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        die("write");
                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                }
        }
}

/* Reads as much as asked for. The port gives 0 or an error while the host has not connected. */
static void read_all(int fd, char *data, size_t size)
{
        while (size > 0) {
                ssize_t n = read(fd, data, size);

                if (n > 0) {
                        data += n;
                        size -= (size_t)n;
                } else
                        usleep(20000);
        }
}

static int fresh_file(const char *path)
{
        int fd;

        (void)unlink(path);
        fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
                die(path);
        return fd;
}

static int run_script(const char *seconds, int out, int err)
{
        int status;
        pid_t pid = fork();

        if (pid < 0)
                die("fork");
        if (pid == 0) {
                int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

                setsid();
                if (dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
                        _exit(126);
                execlp("timeout", "timeout", "-k", "5", seconds, "bash", SCRIPT, (char *)NULL);
                _exit(127);
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        die("waitpid");
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void send_file(int port, int fd)
{
        char buffer[16384];
        ssize_t n;

        if (lseek(fd, 0, SEEK_SET) < 0)
                die("lseek");
        while ((n = read(fd, buffer, sizeof(buffer))) > 0)
                write_all(port, buffer, (size_t)n);
}

static void serve(int port)
{
        char header[64], seconds[16], answer[64], *script;
        size_t used = 0, length;
        int status, fd, out, err;
        struct stat so, se;

        do {
                read_all(port, header + used, 1);
        } while (header[used] != '\n' && ++used < sizeof(header) - 1);
        header[used] = '\0';
        if (sscanf(header, "%zu %15s", &length, seconds) != 2 || length > SCRIPT_MAX)
                die("header");

        script = malloc(length + 1);
        if (!script)
                die("malloc");
        read_all(port, script, length);
        fd = fresh_file(SCRIPT);
        write_all(fd, script, length);
        close(fd);
        free(script);

        out = fresh_file(OUTPUT);
        err = fresh_file(ERRORS);
        status = run_script(seconds, out, err);
        if (fstat(out, &so) < 0 || fstat(err, &se) < 0)
                die("fstat");
        write_all(port, answer,
                  (size_t)snprintf(answer, sizeof(answer), "%d %jd %jd\n", status,
                                   (intmax_t)so.st_size, (intmax_t)se.st_size));
        send_file(port, out);
        send_file(port, err);
        close(out);
        close(err);
}

int main(void)
{
        int port = open(PORT, O_RDWR | O_CLOEXEC);

        if (port < 0)
                die(PORT);
        if (mkdir("/run/vm-agent", 0700) < 0 && errno != EEXIST)
                die("/run/vm-agent");
        write_all(port, "ready\n", 6);
        for (;;)
                serve(port);
}
