/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The words of a list of operations: quotes, roles of devices, short paths, what is expected. */

#include "agree.h"

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ROLES = 64 };

static struct {
        char name[32], address[32];
} roles[MAX_ROLES];
static unsigned n_roles;

/* What does not fit is no shorter word. */
static void copy(const char *text, char *buffer, size_t size)
{
        size_t n = strlen(text);

        if (n >= size)
                errx(2, "too long: %s", text);
        memcpy(buffer, text, n + 1);
}

const char *role(const char *name, size_t n)
{
        for (unsigned i = 0; i < n_roles; i++)
                if (strlen(roles[i].name) == n && strncmp(roles[i].name, name, n) == 0)
                        return roles[i].address;
        return "absent";
}

void set_role(const char *name, const char *address)
{
        unsigned i = 0;

        while (i < n_roles && strcmp(roles[i].name, name) != 0)
                i++;
        if (i == MAX_ROLES)
                errx(2, "too many roles");
        copy(name, roles[i].name, sizeof(roles[i].name));
        copy(address, roles[i].address, sizeof(roles[i].address));
        if (i == n_roles)
                n_roles++;
}

bool read_text(const char *path, char *buffer, size_t size)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, buffer, size - 1);
        int error = errno;

        if (fd >= 0)
                close(fd);
        buffer[n > 0 ? n : 0] = 0;
        errno = error;
        return n >= 0;
}

bool read_link(const char *path, char *buffer, size_t size)
{
        char target[TEXT];
        ssize_t n = readlink(path, target, sizeof(target) - 1);

        if (n < 0)
                return false;
        target[n] = 0;
        copy(strrchr(target, '/') ? strrchr(target, '/') + 1 : target, buffer, size);
        return true;
}

void expand(const char *word, char *buffer, size_t size)
{
        size_t n = 0;

        buffer[0] = 0;
        if (strncmp(word, "D/", 2) == 0 || strncmp(word, "V/", 2) == 0) {
                n = (size_t)snprintf(buffer, size, "%s", word[0] == 'D' ? DEVICES : DRIVERS);
                word += 2;
        } else if (strncmp(word, "N/$", 3) == 0) {
                char path[TEXT], group[64] = "absent";

                snprintf(path, sizeof(path), DEVICES "%s/iommu_group",
                         role(word + 3, strlen(word + 3)));
                (void)read_link(path, group, sizeof(group));
                snprintf(buffer, size, "/dev/vfio/%s", group);
                return;
        }
        while (*word && n + 1 < size) {
                size_t length = 1;

                if (*word != '$') {
                        buffer[n++] = *word++;
                        buffer[n] = 0;
                        continue;
                }
                while (isalnum((unsigned char)word[length]))
                        length++;
                n += (size_t)snprintf(buffer + n, size - n, "%s", role(word + 1, length - 1));
                word += length;
        }
}

void print_text(char *out, size_t size, const char *text)
{
        size_t n = 0;

        for (unsigned i = 0; i < n_roles; i++)
                if (strcmp(text, roles[i].address) == 0) {
                        snprintf(out, size, "$%s", roles[i].name);
                        return;
                }
        if (*text == ' ')
                n = (size_t)snprintf(out, size, "\\s");
        text += n > 0;
        for (; *text && n + 5 < size; text++)
                n += (size_t)(*text == '\n' ? snprintf(out + n, size - n, "\\n")
                                            : snprintf(out + n, size - n, "%c", *text));
        out[n] = 0;
}

size_t unquote(char *word)
{
        size_t n = 0;

        for (const char *c = word; *c; c++)
                if (*c == '\\' && (c[1] == 'n' || c[1] == '0' || c[1] == '\\')) {
                        c++;
                        word[n++] = *c == 'n' ? '\n' : *c == '0' ? 0 : '\\';
                } else {
                        word[n++] = *c;
                }
        word[n] = 0;
        return n;
}

int split(char *line, char **words)
{
        int n = 0;

        while (n < MAX_WORDS - 1) {
                char end = ' ';

                line += strspn(line, " \t");
                if (!*line || *line == '\n')
                        break;
                if (*line == '"')
                        end = *line++;
                words[n++] = line;
                while (*line && *line != end && *line != '\n')
                        line++;
                if (*line)
                        *line++ = 0;
        }
        words[n] = NULL;
        return n;
}

const char *find_expected(char *text)
{
        char *first = NULL, *save = NULL;

        for (char *part = strtok_r(text, ";\n", &save); part; part = strtok_r(NULL, ";\n", &save)) {
                size_t n = strlen(kernel);

                part += strspn(part, " ");
                for (char *end = part + strlen(part); end > part && end[-1] == ' ';)
                        *--end = 0;
                if (first && strncmp(part, kernel, n) == 0 && part[n] == ' ')
                        return part + n + 1;
                first = first ? first : part;
        }
        return first;
}

bool is_for_kernel(const char *list)
{
        const char *found = strstr(list, kernel);
        size_t n = strlen(kernel);

        return found && (!found[n] || found[n] == ',');
}
