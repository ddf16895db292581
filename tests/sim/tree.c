/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "tree.h"

#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_BUCKETS = 1 << 20, SLOT_START = 1024 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Node *buckets[N_BUCKETS];
static Node **slots;
static uint32_t n_slots, n_allocated, *free_slots, n_free;
static uint32_t last_seq;
static uint64_t last_order;
static Node *root;

void (*tree_invalidate)(uint64_t parent_inode, const char *name);

void tree_lock(void)
{
        pthread_mutex_lock(&lock);
}

void tree_unlock(void)
{
        pthread_mutex_unlock(&lock);
}

static Node **find_bucket(const Node *parent, const char *name)
{
        uint32_t hash = 2166136261u ^ parent->seq * 2654435761u;

        for (const char *c = name; *c; c++)
                hash = (hash ^ (unsigned char)*c) * 16777619u;
        return &buckets[(hash ^ hash >> 16) % N_BUCKETS];
}

Node *tree_lookup(Node *parent, const char *name)
{
        for (Node *n = *find_bucket(parent, name); n; n = n->hash_next)
                if (n->parent == parent && strcmp(n->name, name) == 0)
                        return n;
        return NULL;
}

static uint32_t take_slot(Node *node)
{
        if (n_free > 0) {
                uint32_t slot = free_slots[--n_free];

                slots[slot] = node;
                return slot;
        }
        if (n_slots == n_allocated) {
                n_allocated = n_allocated ? n_allocated * 2 : SLOT_START;
                slots = realloc(slots, n_allocated * sizeof(Node *));
                free_slots = realloc(free_slots, n_allocated * sizeof(uint32_t));
                if (!slots || !free_slots)
                        errx(1, "out of memory");
        }
        if (n_slots < 2) /* inode 0 is none, 1 the root */
                n_slots = 1;
        slots[n_slots] = node;
        return n_slots++;
}

static Node *create(Node *parent, const char *name, NodeType type, mode_t mode)
{
        Node *node = calloc(1, sizeof(Node)), **bucket;

        if (!node || !(node->name = strdup(name)))
                errx(1, "out of memory");
        node->parent = parent;
        node->type = type;
        node->mode = mode;
        node->seq = ++last_seq;
        node->order = ++last_order;
        node->slot = take_slot(node);
        if (!parent)
                return node;
        bucket = find_bucket(parent, name);
        node->hash_next = *bucket;
        *bucket = node;
        node->previous = parent->last;
        *(parent->last ? &parent->last->next : &parent->first) = node;
        parent->last = node;
        return node;
}

Node *tree_root(void)
{
        if (!root) {
                root = create(NULL, "", NODE_DIR, 0755);
                root->seq = 0;
                root->refs = 1;
        }
        return root;
}

/* Says that a name came or went; the lock is held, and let go of meanwhile. */
static void invalidate(const Node *parent, const char *name)
{
        uint64_t inode = tree_inode(parent);
        char copy[256];

        if (parent->refs == 0 || !tree_invalidate)
                return;
        snprintf(copy, sizeof(copy), "%s", name);
        tree_unlock();
        tree_invalidate(inode, copy);
        tree_lock();
}

static Node *add(Node *parent, const char *name, NodeType type, mode_t mode)
{
        Node *node = tree_lookup(parent, name);

        if (node)
                errx(1, "'%s' is there already in '%s'", name, parent->name);
        return create(parent, name, type, mode);
}

Node *node_dir(Node *parent, const char *name, void *object)
{
        Node *node;

        tree_lock();
        node = tree_lookup(parent, name);
        if (!node) {
                node = add(parent, name, NODE_DIR, 0755);
                node->object = object;
                invalidate(parent, name);
        }
        tree_unlock();
        return node;
}

Node *node_path(Node *parent, const char *path)
{
        char copy[512], *save = NULL;

        snprintf(copy, sizeof(copy), "%s", path);
        for (char *part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save))
                parent = node_dir(parent, part, NULL);
        return parent;
}

static Node *add_text(Node *parent, const char *name, NodeType type, mode_t mode, const char *text)
{
        Node *node;

        tree_lock();
        node = add(parent, name, type, mode);
        node->text = strdup(text);
        node->size = strlen(text);
        invalidate(parent, name);
        tree_unlock();
        return node;
}

Node *node_text(Node *parent, const char *name, mode_t mode, const char *text)
{
        return add_text(parent, name, NODE_TEXT, mode, text);
}

Node *node_attr_named(Node *parent, const char *name, const Attr *attr, void *object)
{
        Node *node;

        tree_lock();
        node = add(parent, name, NODE_ATTR, attr->mode);
        node->attr = attr;
        node->object = object;
        invalidate(parent, name);
        tree_unlock();
        return node;
}

Node *node_attr(Node *parent, const Attr *attr, void *object)
{
        return node_attr_named(parent, attr->name, attr, object);
}

static size_t write_path(const Node *node, char *buffer, size_t size)
{
        size_t n = node->parent ? write_path(node->parent, buffer, size) : 0;

        if (node->parent && n < size)
                n += (size_t)snprintf(buffer + n, size - n, "/%s", node->name);
        return n;
}

const char *node_write_path(const Node *node, char *buffer, size_t size)
{
        buffer[0] = 0;
        write_path(node, buffer, size);
        return buffer;
}

/* Relative, as the kernel's. */
Node *node_link(Node *parent, const char *name, const Node *target)
{
        char from[1024], to[1024], text[1024] = "";
        size_t common = 0, n = 0;

        node_write_path(parent, from, sizeof(from));
        node_write_path(target, to, sizeof(to));
        for (size_t i = 0;; i++) {
                if ((from[i] == '/' || !from[i]) && (to[i] == '/' || !to[i]))
                        common = i;
                if (!from[i] || from[i] != to[i])
                        break;
        }
        for (const char *c = from + common; *c; c++)
                if (*c == '/')
                        n += (size_t)snprintf(text + n, sizeof(text) - n, "../");
        snprintf(text + n, sizeof(text) - n, "%s", to + common + (to[common] == '/'));
        return add_text(parent, name, NODE_LINK, 0777, text);
}

static void unhash(Node *node)
{
        for (Node **p = find_bucket(node->parent, node->name); *p; p = &(*p)->hash_next)
                if (*p == node) {
                        *p = node->hash_next;
                        break;
                }
        *(node->previous ? &node->previous->next : &node->parent->first) = node->next;
        *(node->next ? &node->next->previous : &node->parent->last) = node->previous;
        node->next = node->previous = NULL;
}

static void release(Node *node)
{
        if (!node->dead || node->refs > 0)
                return;
        slots[node->slot] = NULL;
        free_slots[n_free++] = node->slot;
        free(node->name);
        free(node->text);
        free(node);
}

static void bury(Node *node)
{
        while (node->first)
                bury(node->first);
        unhash(node);
        node->dead = true;
        node->parent = NULL;
        release(node);
}

void node_remove(Node *node)
{
        Node *parent;
        char name[256];

        if (!node)
                return;
        tree_lock();
        parent = node->parent;
        snprintf(name, sizeof(name), "%s", node->name);
        bury(node);
        invalidate(parent, name);
        tree_unlock();
}

void node_clear(Node *parent)
{
        while (parent->first)
                node_remove(parent->first);
}

Node *node_child(Node *parent, const char *name)
{
        Node *node;

        tree_lock();
        node = tree_lookup(parent, name);
        tree_unlock();
        return node;
}

void node_remove_name(Node *parent, const char *name)
{
        node_remove(node_child(parent, name));
}

Node *tree_find(const char *path)
{
        char copy[1024], *save = NULL;
        Node *node = root;

        snprintf(copy, sizeof(copy), "%s", path);
        for (char *part = strtok_r(copy, "/", &save); part && node;
             part = strtok_r(NULL, "/", &save))
                node = node_child(node, part);
        return node;
}

Node *tree_from_inode(uint64_t inode)
{
        uint32_t slot = (uint32_t)inode;

        return inode == 1 ? root : slot < n_slots ? slots[slot] : NULL;
}

bool tree_varies(const Node *node)
{
        return node->type == NODE_ATTR && (node->attr->store || node->attr->varies);
}

uint64_t tree_inode(const Node *node)
{
        if (node == root)
                return 1;
        return (uint64_t)(tree_varies(node) ? ++last_seq : node->seq) << 32 | node->slot;
}

void tree_unref(Node *node, uint64_t n)
{
        node->refs -= n < node->refs ? n : node->refs;
        if (node != root)
                release(node);
}
