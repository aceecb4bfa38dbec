// SPDX-License-Identifier: Apache-2.0
/* Extended attributes in documents: the array [{n: Binary, v: Binary}...] of a file or node, and what files documents
 * say beside it, under names of our own:
 *
 *     user.mime_type              metadata.contentType, or a contentType beside metadata
 *     user.gridfs.id              as under .gridfs/id
 *     user.gridfs.uploadDate      ISO 8601
 *     user.gridfs.chunkSize, user.gridfs.sha256 (of this revision's content), user.gridfs.revision (hex, for caches)
 *     user.gridfs.by              "gridmount", or "application", whoever changed its attributes since
 *     user.gridfs.uid             of its owner, where that is recorded
 *     user.gridfs.due             of a revision that was retired: until when it is certain to be there
 *     user.gridfs.metadata.FIELD  other metadata: text as it is; numbers, dates, ObjectIds, truth as such; all else as
 *                                 relaxed extended JSON. It can be set: see xattr_field.h
 *
 * Pure functions: no state, any thread. Others write the documents: what is unusable is left out. */
#ifndef FS_STORE_MONGO_XATTR_DOCUMENT_H
#define FS_STORE_MONGO_XATTR_DOCUMENT_H

#include <bson/bson.h>

#include "fs/store/store.h"

enum {
    XATTR_NAME_MOST = 255,
    XATTR_VALUE_MOST = 64 << 10,
    XATTR_ALL_MOST = 1 << 20, /* names and values in one array */
    XATTR_COUNT_MOST = 1000,
    XATTR_FIELDS_MOST = 100,  /* of metadata that are shown */
};

struct xattr_list {
    struct store_xattr *first;
    unsigned count;
};

/* Whether the name is one that the store makes: of these only fields can be set (xattr_field.h). */
bool xattr_is_made(const char *name);
/* Whether it is user.mime_type. */
bool xattr_is_type(const char *name);
/* Adds those of an array; what is no array has none. 0 or -ENOMEM, also below. */
int xattr_read_array(const bson_iter_t *array, struct xattr_list *list);
/* Adds what a files document says. `revision` is made of it. */
int xattr_read_file(const bson_t *document, const struct revision *revision, struct xattr_list *list);
/* Adds what a record of a retired revision (retire.h) says. */
int xattr_read_due(const bson_t *record, struct xattr_list *list);
/* The value that user.mime_type shows; false when there is none. */
bool xattr_find_type(const bson_t *document, bson_iter_t *ret_value);
/* The array after a change, as the field `key` of *ret_change, or no field when nothing is left in it. `array` NULL:
 * there is none yet. -EEXIST, -ENODATA, -ENOSPC. */
int xattr_change_array(const bson_iter_t *array, const char *name, const void *value, size_t size,
                       enum store_xattr_how how, const char *key, bson_t *ret_change);

#endif
