// SPDX-License-Identifier: Apache-2.0
/* Fields of metadata as extended attributes that may be set: what xattr_document.h shows as user.gridfs.metadata.FIELD,
 * read back.
 *
 *     there before       is set by
 *     text               any text
 *     number             a number, in JSON; what was a double or of 64 bits stays so
 *     truth, date, ObjectId, decimal    one as it is shown
 *     null, or nothing   text; but what is an object or an array in extended JSON is what it says: {"$numberInt": "5"}
 *     all else           extended JSON of an object or array
 *
 * So what is shown can be set again and is the same; and no application finds another type than it wrote.
 *
 * Pure functions: no state, any thread. */
#ifndef FS_STORE_MONGO_XATTR_FIELD_H
#define FS_STORE_MONGO_XATTR_FIELD_H

#include <bson/bson.h>

#include "cache/base/cleanup.h"

/* The field that a name is about; NULL: about none. */
const char *xattr_field(const char *name);
/* 0; -EPERM: it is a field of the store's own; -EINVAL: servers would not take it for one field. */
int xattr_field_check(const char *field);
/* Appends the value as `key`. `before` NULL: there is none yet. 0, -EINVAL or -ENOMEM. */
int xattr_field_append(bson_t *to, const char *key, const bson_iter_t *before, const void *value, size_t size);

#endif
