// SPDX-License-Identifier: Apache-2.0
/* The _id of a file as a name under .gridfs/id, and back.
 *
 * An ObjectId is its 24 hex digits; any other type is canonical extended JSON, with every byte but A-Z a-z 0-9 - _ . ~
 * as %XX. (A string _id of 24 hex digits has its quotes: %22...%22.) Pure functions, any thread. */
#ifndef FS_STORE_MONGO_IDENTITY_H
#define FS_STORE_MONGO_IDENTITY_H

#include <bson/bson.h>

#include "fs/store/revision.h"

/* To be freed; NULL without memory. */
char *identity_text(const struct revision *revision);
/* {_id: value} of a text, into an initialised empty document. 0 or -EINVAL. */
int identity_parse(const char *text, bson_t *ret_id);

#endif
