// SPDX-License-Identifier: Apache-2.0
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
    int64_t read_ms; /* when the database gave it, on the monotonic clock: lists are read in pages */
};

void store_item_done(struct store_item *item);

/* Bytes of a file that are locked: [start, end], INT64_MAX for all that follow. */
struct store_range {
    int64_t start, end;
    bool exclusive;
};

enum {
    STORE_FETCH_MOST = 64, /* chunks in one fetch */
    STORE_KEEP_SECONDS = 5 /* between two times that a mount says what it has open */
};

/* A revision among those of a name. */
struct store_past {
    struct revision *revision; /* a reference */
    char *id;                  /* the text of its _id (see .gridfs/id); owned */
    char *sha256;              /* recorded of its content: 64 hexadecimal digits, owned; NULL: nothing is */
    bool retired;              /* it was replaced or removed, and goes when its grace is over */
    int64_t due_ms;            /* of one that was retired: that moment, since 1970; INT64_MIN: unknown */
};

enum { STORE_PAST_MOST = 10000 };

void store_past_done(struct store_past *past);
void store_pasts_free(struct store_past *list, uint32_t count);

struct store;
struct store_list;
struct store_lease;
struct store_upload;
struct store_hold;

/* ---- changes ---- */

/* What an inode is to the store. `revision` is that of a file as last seen, NULL for all else. */
struct store_object {
    const char *path;
    enum store_kind kind;
    const struct revision *revision;
    int64_t ctime_ns; /* of link, remove and rename: when, if the database has a place for it. 0: not said */
};

/* The content of a put, given by the layer above. It does not change while the put goes on. */
struct store_content {
    void *context;
    int64_t length; /* bytes */
    /* Fills `into` with [offset, offset + size), inside length, or returns -errno, which ends the put. From several
     * threads at once. */
    int (*read)(void *context, int64_t offset, size_t size, void *into);
    /* What it was made from, or NULL: nothing. Of the base, or of another file that this is a copy of. */
    const struct revision *source;
    /* Whether [offset, offset + size) is what the source has there. */
    bool (*is_clean)(void *context, int64_t offset, size_t size);
    /* Of a put with an upload: whether [offset, offset + size) is what the upload's source gave there. */
    bool (*is_sent)(void *context, int64_t offset, size_t size);
    const struct hole *holes; /* in order, apart, within length */
    uint32_t hole_count;
};

/* Content that is sent while it is still written. */
struct store_source {
    void *context;
    /* Fills `into` with [offset, offset + size), and notes that it was asked for; or -errno: it is not there any more.
     * From several threads at once, until upload_end(). */
    int (*read)(void *context, int64_t offset, size_t size, void *into);
};

struct store_put {
    const char *path;            /* where the revision goes: see put() */
    const struct revision *base; /* what it replaces, or NULL: nothing */
    bool follow;                 /* the base may have been renamed meanwhile by others */
    const struct attributes *attributes; /* all of them, with ATTRIBUTES_FILE */
    const struct store_content *content;
    const struct store_lease *lease; /* of an exclusive creation, or NULL */
    bool unless_replaced; /* -ESTALE when right before the commit the newest is not the base, or there is one without */
    struct store_upload *upload;     /* of this content, in no put before, or NULL */
    /* The older revision that the content is of, or NULL. Then nothing is retired, and without a base fields of others are
     * kept that this one has. */
    const struct revision *restored;
};

struct store_rename {
    struct store_object from;
    const char *to;
    const struct store_object *target; /* what was last seen there, or NULL */
    bool keep_target;                  /* RENAME_NOREPLACE: -EEXIST when anything is there */
    bool exchange;                     /* RENAME_EXCHANGE: `target` goes to from.path */
};

/* An extended attribute. Memory: one allocation, value and name behind the struct. */
struct store_xattr {
    struct store_xattr *next;
    size_t size;
    const void *value;
    const char *name; /* "user.x"; lent by the same allocation */
};

void store_xattrs_free(struct store_xattr *first);

enum { STORE_XATTRS_MOST = 256 }; /* files in one question about them */

enum store_xattr_how { STORE_XATTR_ANY, STORE_XATTR_CREATE, STORE_XATTR_REPLACE, STORE_XATTR_REMOVE };

/* What a store was told of a change by whomever, this program included. */
struct store_change {
    enum store_change_kind {
        STORE_CHANGE_CAME,     /* something is new at `path` */
        STORE_CHANGE_MOVED,    /* the file `id` is at `path` from now on, whatever its name was */
        STORE_CHANGE_CHANGED,  /* attributes: of the file `id`, or of what else is at `path` */
        STORE_CHANGE_WENT,     /* the file `id` is gone, or what else was at `path` */
        STORE_CHANGE_UNLOCKED, /* another mount let go of some of what it held of the file at `path`, or may have */
        STORE_CHANGE_ANY,      /* anything may have changed */
    } kind;
    const char *path; /* NULL: no path (names.h), or not known */
    const void *id;   /* of a file: as `id` of its revision; NULL: of what is no file */
    uint32_t id_size;
};

/* Who is told of changes. All is called by one thread at a time, of the store's or one that asks it; it may block, which
 * delays what comes after. What happened before watching() is not told, nor what happens after lost(), until the next watching(). */
struct store_listener {
    bool names; /* is told of all but STORE_CHANGE_UNLOCKED */
    bool locks; /* is told of that */
    void *context;
    void (*watching)(void *context);
    void (*heard)(void *context); /* all is told that had happened until now */
    void (*lost)(void *context);
    void (*changed)(void *context, const struct store_change *change);
};

struct store_ops {
    /* What is at `path`. What an earlier answer was about makes it cheap to see that it still is there: the witness of
     * a directory, of a file `path` itself; else NULL. */
    int (*lookup)(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry);
    /* The newest revision of the file at `path`, by one indexed question to the primary. */
    int (*newest)(struct store *store, const char *path, struct revision **ret_revision);
    /* The revision whose _id has this text (see .gridfs/id); -EINVAL when no _id can have it. */
    int (*by_id)(struct store *store, const char *text, struct revision **ret_revision);
    /* The revisions of the file `path`, and behind them those of it that were retired and still can be read; of either the
     * newest first, no more than `most`, and without their holes. With `id` only the one whose _id has this text. None is no
     * error. A list for store_pasts_free(). -EINVAL when no _id can have the text. */
    int (*history)(struct store *store, const char *path, const char *id, uint32_t most, struct store_past **ret_list,
                   uint32_t *ret_count);
    /* 1 when a retired revision was the file `path` or lay below it; 0. */
    int (*is_retired)(struct store *store, const char *path);
    /* Looks for what lookups have to know of all names; then for files that have no filename, and notes them as
     * oddities. May take long. */
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

    /* ---- changes: further errors are -EROFS (a read-only bucket or format), -EPERM (metadata is no document and the
     * change needs one), -EINVAL (a path GridFS cannot hold, logged). A change that failed with -ETIMEDOUT may have
     * been made. ---- */

    /* Publishes content as the newest revision: under `path`, or with `follow` under the name that the base's files
     * document has now, when it still is there. Keeps the fields of others that the base has; without a base, it takes
     * the source's chunk size. Retires what it replaces as the store's configuration says. After 0 the content is stored
     * for good; after an error what was there still is the newest. -EEXIST: the lease was lost. -ESTALE: see
     * unless_replaced. -EIO: of the source, which must not be deleted meanwhile, something that is clean is missing or
     * damaged. */
    int (*put)(struct store *store, const struct store_put *put, struct revision **ret_revision);
    /* Begins to send what a put will publish, from `start` on, while it is written. Its chunks will be as large as those
     * of `model`, that is its base, or without one its source; or NULL. Nobody sees any of it before the put, which sends
     * what is missing, was changed since or did not arrive. Asks nothing. -EOPNOTSUPP: all must be sent by the put. */
    int (*upload_begin)(struct store *store, const struct revision *model, const struct store_source *source,
                        int64_t start, struct store_upload **ret_upload);
    /* The source has all of [start, end) by now, which is sent in the background as far as there is room for it. Never
     * blocks. An error is the put's to find. */
    void (*upload_offer)(struct store *store, struct store_upload *upload, int64_t end);
    /* Ends it. What no put has published is deleted afterwards, if need be by the housekeeping of another mount. Waits
     * for reads of the source, not for the server. Takes NULL, returns NULL. */
    struct store_upload *(*upload_end)(struct store *store, struct store_upload *upload);
    /* Claims a free name for a creation that a put with this lease will publish. -EEXIST: something is there, or claimed. */
    int (*reserve)(struct store *store, const char *path, struct store_lease **ret_lease);
    /* Ends a claim, used or not. Takes NULL, returns NULL. Does not wait for the server. */
    struct store_lease *(*release)(struct store *store, struct store_lease *lease);
    /* Makes a directory, symlink or special node, whose attributes are in `node`. -EEXIST. */
    int (*make)(struct store *store, const char *path, const struct store_entry *node);
    /* Makes sure that a directory which exists by its files stays without them, and its parents. */
    int (*keep_directory)(struct store *store, const char *path);
    /* Removes a name that is no directory: every revision of it present now, or one of several hard links. -ENOENT. */
    int (*remove)(struct store *store, const struct store_object *object);
    /* -ENOTEMPTY, -ENOENT. */
    int (*remove_directory)(struct store *store, const char *path);
    /* A target that is replaced is of the fitting kind, and empty if a directory: -ENOTEMPTY when it is not. -ENOENT:
     * the source has gone. */
    int (*rename)(struct store *store, const struct store_rename *rename);
    /* Gives anything but a directory one more name. *ret_revision, of a file: with its new count of links. -EEXIST. */
    int (*link)(struct store *store, const struct store_object *object, const char *path,
                struct revision **ret_revision);
    /* Sets all that `changes` has. *ret_revision, of a file: the same revision with them. A directory that exists by
     * its files is made, but not with ret_revision NULL: then it may be on its way to another name. -ENOENT: it has gone. */
    int (*set_attributes)(struct store *store, const struct store_object *object, const struct attributes *changes,
                          struct revision **ret_revision);
    /* A list that the caller frees, user.gridfs.* and user.mime_type included. */
    int (*xattrs)(struct store *store, const struct store_object *object, struct store_xattr **ret_first);
    /* Those of so many files, count <= STORE_XATTRS_MOST, by one question: of each a list likewise, NULL of what is not there. */
    int (*xattrs_of)(struct store *store, struct revision *const *revisions, uint32_t count, struct store_xattr **ret_firsts);
    /* -EEXIST and -ENODATA as `how` says; -ENOSPC: the document would be too large; -EPERM: a name the store makes, or a field
     * that it does not show; -EINVAL: no value, or name, of a field (user.gridfs.metadata.*). */
    int (*set_xattr)(struct store *store, const struct store_object *object, const char *name, const void *value,
                     size_t size, enum store_xattr_how how);
    /* Says that these revisions are open here: those among them that were retired, by whomever, stay for a while more. To
     * be called every STORE_KEEP_SECONDS. */
    int (*keep)(struct store *store, struct revision *const *open, uint32_t count);
    /* One round of housekeeping, to be called about once a minute: deletes retired revisions that are due, but none of
     * these, which are open here. */
    int (*tidy)(struct store *store, struct revision *const *open, uint32_t count);

    /* ---- what others do ---- */

    /* Has the listener, which is copied, told of each change from now on; once in the life of a store. -EOPNOTSUPP: the
     * server cannot tell. NULL in a store that never can. */
    int (*watch)(struct store *store, const struct store_listener *listener);
    /* The listener is called no more. Does not wait for the server. */
    void (*unwatch)(struct store *store);

    /* ---- locks of files across mounts: a hold is what this mount has of one file, against all others. One call at a
     * time for each hold. What is held goes by itself when the server hears nothing of this mount for a while. ---- */

    /* Of the file at `path`, whether or not there is one, holding nothing yet. Asks nothing. Holds of different kinds
     * do not exclude each other. */
    int (*hold_open)(struct store *store, const char *path, char kind, struct store_hold **ret_hold);
    /* Holds these ranges, in order and apart, in the place of those before: all, or -EAGAIN, since other mounts exclude
     * it, and what was held stays. After another error either may be. -ENOLCK: what was held was lost, and nothing is
     * held now. */
    int (*hold_set)(struct store *store, struct store_hold *hold, const struct store_range *ranges, uint32_t count);
    /* 1 and a range that another mount holds and that excludes `wanted`; 0; or -errno. */
    int (*hold_find)(struct store *store, struct store_hold *hold, const struct store_range *wanted,
                     struct store_range *ret_found);
    /* Whether what is held still is: 0, -ENOLCK when it was lost, or another -errno. Asks the server only when it has
     * not heard of this mount for long. */
    int (*hold_check)(struct store *store, const struct store_hold *hold);
    /* Of one that holds nothing, or as far as is known. Takes NULL, returns NULL. Asks nothing. */
    struct store_hold *(*hold_close)(struct store *store, struct store_hold *hold);
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
    /* What the fastest answer so far took: about a round trip. NULL: it is no server far away. */
    int64_t (*round_trip_ms)(struct server *server);
    /* Ends what the stores do of themselves, and gives back what they claimed; they are gone then. */
    void (*settle)(struct server *server);
    /* Settles it, if that was not done, and lets go of the connection. */
    struct server *(*free)(struct server *server);
};

struct server {
    const struct server_ops *ops;
    char *address; /* host and port, without secrets */
    char *database;
};

void server_free_names(char **names);

#endif
