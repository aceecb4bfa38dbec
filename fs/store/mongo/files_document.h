// SPDX-License-Identifier: Apache-2.0
/* The files document of a new revision, made from its parts and from the document of the revision it was made from.
 *
 * What applications keep in their documents goes over as it is, in its place and order; only md5, which would be wrong
 * now, does not. metadata.posix and metadata.sha256 are ours. A metadata that is no document stays what it is.
 *
 * Pure: no state, any thread. */
#ifndef FS_STORE_MONGO_FILES_DOCUMENT_H
#define FS_STORE_MONGO_FILES_DOCUMENT_H

#include <bson/bson.h>

#include "fs/store/store.h"

struct files_document {
    const bson_t *base; /* or NULL */
    bool of_another; /* the base is of a file that may live on under other names: its identity and links are not this one's */
    const bson_oid_t *id;
    const char *filename; /* of filename_size bytes */
    size_t filename_size;
    int64_t date_ms;
    uint32_t chunk_size;
    const struct store_content *content; /* for its length and holes */
    bool without_holes;
    const struct attributes *attributes;
    const unsigned char *sha256; /* 32 bytes, or NULL */
};

/* Into an initialised empty document. 0; -EIO when the base cannot be read; -ENOSPC when it would be too large. */
int files_document_make(const struct files_document *parts, bson_t *document);

#endif
