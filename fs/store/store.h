/* The store: what the filesystem asks of a database, as tables of operations. No BSON, no connection in it.
 *
 * A server has buckets; a bucket is a tree of paths over GridFS files. A path is written as names.h says (stored form,
 * no leading "/", the root is ""). Spellings, older revisions and files shadowed by directories are the store's
 * affair: above it, a path is one thing.
 *
 * Threads: all operations from any thread, but one list is used by one thread at a time. All may block, until the
 * server answered or the connection's timeout passed without progress. No lock may be held across a call.
 * Memory: as each operation says; lists and stores are the caller's to free unless said otherwise.
 * Errors: 0 or -errno: -ENOENT, -ESTALE, -EACCES (not authorized), -ETIMEDOUT (server away), -EIO (damage, or an error
 * of the server, logged), -ENOMEM, -EINVAL. Out-parameters are untouched on failure. */
#ifndef FS_STORE_STORE_H
#define FS_STORE_STORE_H

#include "cache/base/blob.h"
#include "fs/store/oddities.h"
#include "fs/store/revision.h"

enum store_kind {
    STORE_FILE,
    STORE_DIRECTORY,
    STORE_SYMLINK,
    STORE_FIFO,
    STORE_SOCKET,
    STORE_CHARACTER_DEVICE,
    STORE_BLOCK_DEVICE,
};

/* What is at a path. */
struct store_entry {
    enum store_kind kind;
    struct revision *revision;    /* of a file: the newest; a reference */
    struct attributes attributes; /* of all others */
    char *target;                 /* of a symlink; owned */
    char *witness;                /* of a directory that exists by its files: one of them; owned, or NULL */
};

void store_entry_done(struct store_entry *entry);

/* One entry of a directory. `key` orders the entries of a directory: the stored name, of a directory with a "/" behind
 * it unless the directory shadows a file. */
struct store_item {
    char *key;
    struct store_entry entry;
};

void store_item_done(struct store_item *item);

enum { STORE_FETCH_MOST = 64 }; /* chunks in one fetch */

struct store;
struct store_list;

struct store_ops {
    /* What is at `path`. A witness from an earlier answer makes it cheap to see that a directory is still there. */
    int (*lookup)(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry);
    /* The newest revision of the file at `path`, by one indexed question to the primary. */
    int (*newest)(struct store *store, const char *path, struct revision **ret_revision);
    /* The revision whose _id has this text (see .gridfs/id); -EINVAL when no _id can have it. */
    int (*by_id)(struct store *store, const char *text, struct revision **ret_revision);
    /* Looks for files that have no filename, and notes them as oddities. May take long. */
    int (*survey)(struct store *store);
    /* The entries of a directory in the order of their keys, from behind `after` (a key, or NULL: from the start). */
    int (*list_open)(struct store *store, const char *path, const char *after, struct store_list **ret_list);
    /* 1 and the next entry, owned by the caller; 0 at the end; or -errno, after which the list can only be closed. */
    int (*list_next)(struct store_list *list, struct store_item *ret_item);
    void (*list_close)(struct store_list *list);
    /* Chunks [first, first + count) of a revision, count <= STORE_FETCH_MOST: -errno, or 0 and for each chunk either a blob (the caller's) of the
     * right size, or NULL and an error. */
    int (*fetch)(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors);
    /* The only chunk of each of these revisions, likewise, by one question. What is not found sound has -EAGAIN for
     * an error: fetch() tells what is wrong with it. */
    int (*fetch_heads)(struct store *store, struct revision *const *revisions, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors);
};

struct store {
    const struct store_ops *ops;
    char *bucket;
    struct oddities *oddities; /* files of this bucket that no path can name */
};

struct server;

struct server_ops {
    /* The buckets of the database, NULL-terminated; the caller frees them with server_free_names(). */
    int (*buckets)(struct server *server, char ***ret_names);
    /* The store of a bucket, whether or not it exists yet. It belongs to the server and lives as long. */
    int (*bucket)(struct server *server, const char *name, struct store **ret_store);
    /* Whether the last question to the server got an answer. Never blocks. */
    bool (*healthy)(struct server *server);
    struct server *(*free)(struct server *server);
};

struct server {
    const struct server_ops *ops;
    char *address; /* host and port, without secrets */
    char *database;
};

void server_free_names(char **names);

#endif
