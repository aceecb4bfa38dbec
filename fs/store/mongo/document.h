// SPDX-License-Identifier: Apache-2.0
/* Documents of a bucket as what the filesystem needs of them. Others write them, so anything can be in them: nothing
 * is trusted, nothing unusable is an error of the whole.
 *
 * Pure functions: no state, any thread, no question to the server. Fuzzed (tests/fuzz).
 * The rules for files documents are the GridFS specification's (source/gridfs), made to hold for any numeric type. */
#ifndef FS_STORE_MONGO_DOCUMENT_H
#define FS_STORE_MONGO_DOCUMENT_H

#include <bson/bson.h>

#include "cache/base/cleanup.h"
#include "fs/store/store.h"

/* The fields that document_revision() reads of a files document that lies below `above` ("": at the top), for a projection. */
#define DOCUMENT_FIELDS_BELOW(above)                                                                              \
    above "_id", BCON_INT32(1), above "filename", BCON_INT32(1), above "length", BCON_INT32(1), above "chunkSize",  \
        BCON_INT32(1), above "uploadDate", BCON_INT32(1), above "metadata.posix.rev", BCON_INT32(1),                \
        above "metadata.posix.adopted", BCON_INT32(1), above "metadata.posix.file", BCON_INT32(1),                  \
        above "metadata.posix.links", BCON_INT32(1), above "metadata.posix.mode", BCON_INT32(1),                    \
        above "metadata.posix.uid", BCON_INT32(1), above "metadata.posix.gid", BCON_INT32(1),                       \
        above "metadata.posix.atime_ns", BCON_INT32(1), above "metadata.posix.mtime_ns", BCON_INT32(1),             \
        above "metadata.posix.ctime_ns", BCON_INT32(1), above "metadata.posix.lift", BCON_INT32(1),                 \
        above "metadata.posix.holes", BCON_INT32(1)
/* For a find's options. */
#define DOCUMENT_FILE_FIELDS "projection", "{", DOCUMENT_FIELDS_BELOW(""), "}"

/* A files document of a store's bucket as a revision. 0, -EINVAL when it has no _id, or -ENOMEM. */
int document_revision(const bson_t *document, struct store *store, struct revision **ret_revision);
/* The filename, lent, not NUL-terminated; NULL when it is absent or no string. */
const char *document_filename(const bson_t *document, size_t *ret_size);
/* The 64 hexadecimal digits that metadata.sha256 has, lent, NUL-terminated; NULL: it has none. Of which revision's content,
 * is not looked at. */
const char *document_sha256(const bson_t *document);
/* A document of <bucket>.gridmount.nodes as an entry without witness. 0, -EINVAL when it is none, or -ENOMEM. */
int document_node(const bson_t *document, struct store_entry *ret_entry);
/* A further name of a hard-linked file or node, as nodes hold it. */
struct document_link {
    char *at;  /* the filename of the file, or with `node` the path of the node; owned */
    char *was; /* it may still be there: what it was before a rename; owned, or NULL */
    bool node;
    unsigned char file[ATTRIBUTES_FILE_SIZE]; /* whose name it is, wherever that is */
};

/* The attributes among the fields of a node. */
void document_attributes(const bson_t *document, struct attributes *ret_attributes);
/* A document of <bucket>.gridmount.nodes that is such a name. 0, -EINVAL when it is none, or -ENOMEM. */
int document_link(const bson_t *document, struct document_link *ret_link);
void document_link_done(struct document_link *link);
/* The word for what is no file in `kind` of a node. */
const char *document_kind_word(enum store_kind kind);
/* Appends a value as others stored it, under `key` or, with NULL, under its own. An array of which the elements are not
 * called 0, 1, ... as they should be, which the driver complains of on stderr, gets them renamed: to servers it is the same. */
bool document_append(bson_t *to, const char *key, const bson_iter_t *value);
/* A number of any numeric type that is a whole one in [least, most]. */
bool document_whole_number(const bson_iter_t *iter, int64_t least, int64_t most, int64_t *ret_number);
/* Orders the _ids of two revisions as the server does within one type; types apart, by type. */
int document_compare_ids(const struct revision *one, const struct revision *other);
/* Of two revisions of a name the file is the newer: by uploadDate, then _id. */
bool document_is_newer(const struct revision *one, const struct revision *other);

/* Of text that the driver made: large memory of its own is not free()'s, see server.c. */
DEFINE_CLEANUP(char, bson_free)

#endif
