/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The tree as a filesystem: libfuse's low level, many threads, one per request that is held. It is
 * mounted twice. What is to be /sys has no open(), and what never changes is read once: a large
 * host is read at two requests per file. What is to be /dev/vfio counts who has a node open.
 */

#define FUSE_USE_VERSION 312
#include "sim.h"

#include <err.h>
#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PAGE = 4096, MAX_THREADS = 4096, MAX_IDLE_THREADS = 4, N_SESSIONS = 2 };

/* What changes is told to the kernel (tree_invalidate), so it may keep names for good. */
static const double FOR_GOOD = 1e6;

static struct fuse_session *sessions[N_SESSIONS];

/* With the tree's lock. */
static void fill_stat(const Node *node, uint64_t inode, struct stat *st)
{
        static const mode_t types[] = { S_IFDIR, S_IFLNK, S_IFREG, S_IFREG };

        *st = (struct stat){
                .st_ino = inode,
                .st_mode = types[node->type] | node->mode,
                .st_nlink = node->type == NODE_DIR ? 2 : 1,
                .st_uid = node->uid,
                .st_gid = node->gid,
                .st_size = node->type == NODE_LINK ? (off_t)node->size : PAGE,
                .st_blksize = PAGE,
        };
        if (node->type == NODE_ATTR && node->attr->binary)
                st->st_size = node->attr->show(node->object, NULL, 0, 0);
}

/* What varies is looked up each time, and then is an inode with nothing cached. */
static double lifetime(const Node *node)
{
        return tree_varies(node) ? 0 : FOR_GOOD;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
        struct fuse_entry_param e = { .entry_timeout = FOR_GOOD };
        Node *dir, *node;

        tree_lock();
        dir = tree_from_inode(parent);
        node = dir && !dir->dead ? tree_lookup(dir, name) : NULL;
        if (node) {
                node->refs++;
                e.ino = tree_inode(node);
                e.generation = 1;
                e.entry_timeout = lifetime(node);
                e.attr_timeout = FOR_GOOD;
                fill_stat(node, e.ino, &e.attr);
        }
        tree_unlock();
        fuse_reply_entry(req, &e);
}

static void forget(fuse_ino_t ino, uint64_t n)
{
        Node *node;

        tree_lock();
        node = tree_from_inode(ino);
        if (node)
                tree_unref(node, n);
        tree_unlock();
}

static void on_forget(fuse_req_t req, fuse_ino_t ino, uint64_t n)
{
        forget(ino, n);
        fuse_reply_none(req);
}

static void on_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
        for (size_t i = 0; i < count; i++)
                forget(forgets[i].ino, forgets[i].nlookup);
        fuse_reply_none(req);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        struct stat st;
        Node *node;

        tree_lock();
        node = tree_from_inode(ino);
        if (node)
                fill_stat(node, ino, &st);
        tree_unlock();
        if (node)
                fuse_reply_attr(req, &st, FOR_GOOD);
        else
                fuse_reply_err(req, ENOENT);
}

/* Owner and mode are kept, as in devtmpfs; what else is asked for changes nothing, as in sysfs. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                       struct fuse_file_info *fi)
{
        Node *node;

        tree_lock();
        node = tree_from_inode(ino);
        if (node && to_set & FUSE_SET_ATTR_MODE)
                node->mode = attr->st_mode & 07777;
        if (node && to_set & FUSE_SET_ATTR_UID)
                node->uid = attr->st_uid;
        if (node && to_set & FUSE_SET_ATTR_GID)
                node->gid = attr->st_gid;
        tree_unlock();
        on_getattr(req, ino, fi);
}

static void on_readlink(fuse_req_t req, fuse_ino_t ino)
{
        char text[1024] = "";
        Node *node;
        bool alive;

        tree_lock();
        node = tree_from_inode(ino);
        alive = node && !node->dead && node->type == NODE_LINK;
        if (alive) {
                snprintf(text, sizeof(text), "%s", node->text);
                count_look(node);
        }
        tree_unlock();
        if (alive)
                fuse_reply_readlink(req, text);
        else
                fuse_reply_err(req, ENOENT);
}

static size_t fill_directory(fuse_req_t req, const Node *dir, char *buffer, size_t size,
                             off_t offset)
{
        size_t used = 0;

        for (const Node *n = dir->first; n; n = n->next) {
                struct stat st;
                size_t need;

                if ((off_t)n->order <= offset)
                        continue;
                fill_stat(n, (uint64_t)n->seq << 32 | n->slot, &st);
                need = fuse_add_direntry(req, buffer + used, size - used, n->name, &st,
                                         (off_t)n->order);
                if (need > size - used)
                        break;
                used += need;
        }
        return used;
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
        char *buffer = malloc(size);
        size_t used = 0;
        Node *dir;

        if (!buffer) {
                fuse_reply_err(req, ENOMEM);
                return;
        }
        tree_lock();
        dir = tree_from_inode(ino);
        if (dir && !dir->dead)
                used = fill_directory(req, dir, buffer, size, offset);
        tree_unlock();
        fuse_reply_buf(req, buffer, used);
        free(buffer);
}

/* The kernel asks no more. */
static void on_open_any(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        fuse_reply_err(req, ENOSYS);
}

/* A node of a group that somebody has open; its group is NULL once it is closed. */
typedef struct Opened {
        void *group;
} Opened;

static int open_group(void *group, pid_t pid, struct fuse_file_info *fi)
{
        Opened *o = calloc(1, sizeof(Opened));
        int r = o ? group_open(group, pid) : -ENOMEM;

        if (r < 0) {
                free(o);
                return r;
        }
        o->group = group;
        fi->fh = (uintptr_t)o;
        return 0;
}

static void close_group(const struct fuse_file_info *fi)
{
        Opened *o = (Opened *)(uintptr_t)fi->fh;
        void *group;

        if (!o)
                return;
        tree_lock();
        group = o->group;
        o->group = NULL;
        tree_unlock();
        if (group)
                group_close(group);
}

/* What was removed cannot be opened, as in kernfs. */
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        int r = -ENODEV;
        Node *node;

        tree_lock();
        node = tree_from_inode(ino);
        if (node && !node->dead) {
                node->refs++;
                r = 0;
        }
        tree_unlock();
        if (r >= 0 && node->attr == &vfio_node)
                r = open_group(node->object, fuse_req_ctx(req)->pid, fi);
        if (r < 0) {
                if (node)
                        forget(ino, 1);
                fuse_reply_err(req, -r);
                return;
        }
        fi->direct_io = 1;
        fuse_reply_open(req, fi);
}

/* close() waits for this, and not for the release. Nobody here shares what he has open. */
static void on_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        close_group(fi);
        fuse_reply_err(req, 0);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
        close_group(fi);
        free((Opened *)(uintptr_t)fi->fh);
        forget(ino, 1);
        fuse_reply_err(req, 0);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                    struct fuse_file_info *fi)
{
        char buffer[PAGE + 1] = "";
        ssize_t n = -ENODEV;
        Node *node;

        tree_lock();
        node = tree_from_inode(ino);
        if (node && node->dead)
                node = NULL;
        if (node)
                count_look(node);
        if (node && node->type == NODE_TEXT)
                n = snprintf(buffer, sizeof(buffer), "%s", node->text);
        tree_unlock();
        if (node && node->type == NODE_ATTR)
                n = node->attr->show ? node->attr->show(node->object, buffer, PAGE, offset) : -EIO;
        if (n < 0) {
                fuse_reply_err(req, (int)-n);
                return;
        }
        if (node->type == NODE_ATTR && node->attr->binary)
                offset = 0;
        if (offset > n)
                offset = n;
        n -= offset;
        fuse_reply_buf(req, buffer + offset, (size_t)n < size ? (size_t)n : size);
}

/* The faults of the control socket come first: after them the file may be another's, or gone. */
static void on_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
                     struct fuse_file_info *fi)
{
        char text[PAGE + 1], path[1024] = "";
        Write w = { .pid = fuse_req_ctx(req)->pid, .path = path, .value = text };
        Node *node;
        int r = 0;

        if (size > PAGE)
                size = PAGE;
        memcpy(text, data, size);
        text[size] = 0;
        tree_lock();
        node = tree_from_inode(ino);
        if (node && !node->dead)
                node_write_path(node, path, sizeof(path));
        tree_unlock();
        r = write_begins(&w);
        if (r >= 0 && (!node || node->dead))
                r = -ENODEV;
        else if (r >= 0)
                r = node->type == NODE_ATTR && node->attr->store
                            ? node->attr->store(node->object, text, size)
                            : -EIO;
        r = write_ends(&w, r);
        if (r < 0)
                fuse_reply_err(req, -r);
        else
                fuse_reply_write(req, size);
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
        conn->want &= ~(unsigned)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
}

static void invalidate(uint64_t parent, const char *name)
{
        for (int i = 0; i < N_SESSIONS; i++)
                (void)fuse_lowlevel_notify_inval_entry(sessions[i], parent, name, strlen(name));
}

static const struct fuse_lowlevel_ops operations[N_SESSIONS] = {
        {
                .init = on_init,
                .lookup = on_lookup,
                .forget = on_forget,
                .forget_multi = on_forget_multi,
                .getattr = on_getattr,
                .setattr = on_setattr,
                .readlink = on_readlink,
                .readdir = on_readdir,
                .open = on_open_any,
                .read = on_read,
                .write = on_write,
        },
        {
                .init = on_init,
                .lookup = on_lookup,
                .forget = on_forget,
                .forget_multi = on_forget_multi,
                .getattr = on_getattr,
                .setattr = on_setattr,
                .readdir = on_readdir,
                .open = on_open,
                .flush = on_flush,
                .release = on_release,
        },
};

static struct fuse_session *mount_one(const struct fuse_lowlevel_ops *ops, const char *top,
                                      const char *name)
{
        char program[] = "vfio-sim", options[] = "-oallow_other,default_permissions,fsname=sysfs";
        char *argv[] = { program, options }, where[PATH_SIZE];
        struct fuse_args args = FUSE_ARGS_INIT(2, argv);
        struct fuse_session *session;

        snprintf(where, sizeof(where), "%s/%s", top, name);
        session = fuse_session_new(&args, ops, sizeof(*ops), NULL);
        if (!session || fuse_session_mount(session, where) != 0)
                errx(1, "%s cannot be mounted", where);
        return session;
}

static void *run(void *session)
{
        struct fuse_loop_config *config = fuse_loop_cfg_create();

        if (!config)
                errx(1, "out of memory");
        fuse_loop_cfg_set_max_threads(config, MAX_THREADS);
        fuse_loop_cfg_set_idle_threads(config, MAX_IDLE_THREADS);
        (void)fuse_session_loop_mt(session, config);
        fuse_session_unmount(session);
        return NULL;
}

int serve(const char *top)
{
        pthread_t other;

        sessions[0] = mount_one(&operations[0], top, "sys");
        sessions[1] = mount_one(&operations[1], top, "vfio");
        tree_invalidate = invalidate;
        fuse_set_signal_handlers(sessions[0]);
        printf("ready\n");
        fflush(stdout);
        if (pthread_create(&other, NULL, run, sessions[1]) != 0)
                return -EAGAIN;
        run(sessions[0]);
        fuse_session_exit(sessions[1]);
        return 0;
}
