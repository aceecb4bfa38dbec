// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "fs/store/names.h"
#include "fs/vfs/recall.h"

static const struct {
    const char *key; /* see directory.h */
    enum inode_kind kind;
    bool at_root; /* of the mount only, not of each bucket */
} entries[] = {
    {"id/", INODE_IDS, false},
    {"metrics", INODE_METRICS, true},
    {"page", INODE_PAGE, true},
    {"revisions/", INODE_HISTORY, false},
    {"status", INODE_STATUS, true},
    {"status.json", INODE_STATUS_JSON, true},
};

bool control_is(const struct vfs *vfs, struct inode *parent, const char *name) {
    if (strcmp(name, NAMES_CONTROL) != 0)
        return false;
    return inode_kind(parent) == INODE_BUCKETS || inode_is_bucket(vfs->inodes, parent);
}

/* The control directory of the mount has the status; that of a bucket its files by _id; often they are one. */
static bool has_entry(struct vfs *vfs, struct inode *control, unsigned i) {
    if (entries[i].at_root)
        return inode_parent_is(vfs->inodes, control, inodes_root(vfs->inodes));
    return inode_store(control) != NULL;
}

bool vfs_is_status(const struct vfs *vfs, struct inode *inode, const char *name) {
    enum inode_kind kind = inode_kind(inode);
    return kind == INODE_CONTROL || inode_kind_is_text(kind) || (name && control_is(vfs, inode, name));
}

static int adopt(struct vfs *vfs, struct inode *parent, const char *name, enum inode_kind kind,
                 struct store_entry *entry, struct inode **ret_inode) {
    struct inode_found found = {.kind = kind, .store = inode_store(parent), .entry = entry};
    int result = inode_adopt(vfs->inodes, parent, name, &found, ret_inode);
    if (result && entry)
        store_entry_done(entry);
    return result;
}

static int lookup_id(struct vfs *vfs, struct inode *parent, const char *name, struct inode **ret_inode) {
    struct store *store = inode_store(parent);
    struct store_entry entry = {.kind = STORE_FILE};
    int result = store->ops->by_id(store, name, &entry.revision);
    if (result)
        return result == -EINVAL ? -ENOENT : result;
    return adopt(vfs, parent, name, INODE_BY_ID, &entry, ret_inode);
}

int control_bucket(struct vfs *vfs, const char *name, struct store **ret_store) {
    char **names;
    int result = vfs->config.server->ops->buckets(vfs->config.server, &names);
    if (result)
        return result;
    result = -ENOENT;
    for (char **bucket = names; result == -ENOENT && *bucket; bucket++)
        if (strcmp(*bucket, name) == 0)
            result = 0;
    server_free_names(names);
    return result ? result : vfs->config.server->ops->bucket(vfs->config.server, name, ret_store);
}

static int ask_for_bucket(struct vfs *vfs, struct inode *root, const char *name, struct inode **ret_inode) {
    struct inode_found found = {.kind = INODE_STORED, .entry = &(struct store_entry){.kind = STORE_DIRECTORY}};
    int result = control_bucket(vfs, name, &found.store);
    return result ? result : inode_adopt(vfs->inodes, root, name, &found, ret_inode);
}

static int lookup_bucket(struct vfs *vfs, struct inode *root, const char *name, struct inode **ret_inode) {
    if (recall_is_due(vfs) && recall_name(vfs, root, name, ret_inode))
        return 0;
    int result = ask_for_bucket(vfs, root, name, ret_inode);
    return recall_may(vfs, result) && recall_name(vfs, root, name, ret_inode) ? 0 : result;
}

static bool is_called(const char *key, const char *name) {
    size_t size = strlen(name);
    return strncmp(key, name, size) == 0 && (!key[size] || strcmp(key + size, "/") == 0);
}

int control_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct inode **ret_inode) {
    if (control_is(vfs, parent, name))
        return adopt(vfs, parent, name, INODE_CONTROL, NULL, ret_inode);
    switch (inode_kind(parent)) {
    case INODE_BUCKETS:
        return lookup_bucket(vfs, parent, name, ret_inode);
    case INODE_IDS:
        return lookup_id(vfs, parent, name, ret_inode);
    case INODE_HISTORY:
        return history_lookup(vfs, parent, name, ret_inode);
    case INODE_CONTROL:
        for (unsigned i = 0; i < sizeof entries / sizeof *entries; i++)
            if (is_called(entries[i].key, name) && has_entry(vfs, parent, i))
                return adopt(vfs, parent, name, entries[i].kind, NULL, ret_inode);
        return -ENOENT;
    default:
        return -ENOTDIR;
    }
}

/* The files that no path can name, after a look for those without any name. */
static int list_oddities(struct store *store, char ***ret_names) {
    int result = store->ops->survey(store);
    if (result < 0)
        return result;
    char **names = calloc(ODDITIES_MOST + 1, sizeof *names);
    const char *id;
    for (size_t i = 0; names && (id = oddities_id(store->oddities, i)); i++)
        if (!(names[i] = strdup(id))) {
            server_free_names(names);
            return -ENOMEM;
        }
    *ret_names = names;
    return names ? 1 : -ENOMEM;
}

static int list_control(struct vfs *vfs, struct inode *inode, char ***ret_names) {
    enum { COUNT = sizeof entries / sizeof *entries };
    char **names = calloc(COUNT + 1, sizeof *names), **end = names;
    for (unsigned i = 0; names && i < COUNT; i++)
        if (has_entry(vfs, inode, i) && !(*end++ = strdup(entries[i].key))) {
            server_free_names(names);
            return -ENOMEM;
        }
    *ret_names = names;
    return names ? 1 : -ENOMEM;
}

/* Names of directories as keys. 1, or -ENOMEM and the names are freed. */
static int add_slashes(char **names) {
    for (char **name = names; *name; name++) {
        size_t size = strlen(*name);
        char *key = realloc(*name, size + 2);
        if (!key) {
            server_free_names(names);
            return -ENOMEM;
        }
        strcpy(key + size, "/");
        *name = key;
    }
    return 1;
}

int control_names(struct vfs *vfs, struct inode *inode, char ***ret_names) {
    int result;
    switch (inode_kind(inode)) {
    case INODE_BUCKETS:
        result = vfs->config.server->ops->buckets(vfs->config.server, ret_names);
        return result ? result : add_slashes(*ret_names);
    case INODE_IDS:
        return list_oddities(inode_store(inode), ret_names);
    case INODE_HISTORY:
        return history_names(vfs, inode, ret_names);
    case INODE_CONTROL:
        return list_control(vfs, inode, ret_names);
    default:
        return 0;
    }
}
