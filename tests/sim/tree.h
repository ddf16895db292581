/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The nodes of the mounted tree: directories, links, texts that stay, and attributes that are asked
 * for. Like the kernel's kernfs: a node that was removed stays while somebody has it open, and then
 * answers ENODEV. The tree has a lock of its own, so that a lookup never waits for the model.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Node Node;

/* Show returns the length or a negative errno; store 0 or a negative errno. Data ends with a NUL.
 */
typedef struct Attr {
        const char *name;
        mode_t mode;
        ssize_t (*show)(void *object, char *buffer, size_t size, off_t offset);
        int (*store)(void *object, const char *data, size_t size);
        bool binary; /* show is asked for an offset, and is not cut at 4096 bytes */
        bool (*has)(void *object);
        bool varies; /* without being written */
} Attr;

typedef enum NodeType { NODE_DIR, NODE_LINK, NODE_TEXT, NODE_ATTR } NodeType;

struct Node {
        Node *parent, *first, *last, *next, *previous, *hash_next;
        char *name;
        NodeType type;
        uint32_t slot, seq;
        uint64_t order; /* position in its directory */
        uint64_t refs;  /* the kernel's lookups, and descriptors */
        bool dead;
        mode_t mode;
        uid_t uid;
        gid_t gid;
        char *text; /* of a link or text */
        size_t size;
        const Attr *attr;
        void *object; /* whose attributes these are */
        void *device; /* whose directory this is */
};

Node *tree_root(void);
Node *tree_find(const char *path); /* from the root; NULL: there is none */

Node *node_dir(Node *parent, const char *name, void *object); /* an existing one is returned */
Node *node_path(Node *parent, const char *path);              /* each folder of it */
Node *node_text(Node *parent, const char *name, mode_t mode, const char *text);
Node *node_attr(Node *parent, const Attr *attr, void *object);
Node *node_attr_named(Node *parent, const char *name, const Attr *attr, void *object);
Node *node_link(Node *parent, const char *name, const Node *target);
void node_remove(Node *node);  /* with all below it; NULL: nothing */
void node_clear(Node *parent); /* removes all below it */
void node_remove_name(Node *parent, const char *name);
Node *node_child(Node *parent, const char *name);

/* The path from the root of the tree, "/sys/…". Returns buffer. */
const char *node_write_path(const Node *node, char *buffer, size_t size);

/* For fuse.c. The caller holds the lock. */
void tree_lock(void);
void tree_unlock(void);
Node *tree_lookup(Node *parent, const char *name);
Node *tree_from_inode(uint64_t inode);
/* What varies has a new one each time: nothing of it is cached, and two who write, of whom one is
 * held, do not wait for one another in FUSE. */
uint64_t tree_inode(const Node *node);
bool tree_varies(const Node *node);
void tree_unref(Node *node, uint64_t n);

/* Called without the lock when a name comes or goes in a directory that the kernel knows. */
extern void (*tree_invalidate)(uint64_t parent_inode, const char *name);
