// SPDX-License-Identifier: Apache-2.0
/* An array in a document, under the name that the driver at hand has for its beginning. Ends by bson_append_array_end().
 *
 * Its keys are the caller's to count: "0", "1" and so on, which newer drivers call unsafe, and older ones have nothing else. */
#ifndef FS_STORE_MONGO_ARRAY_H
#define FS_STORE_MONGO_ARRAY_H

#include <bson/bson.h>

static inline bool array_begin(bson_t *document, const char *key, bson_t *array) {
#ifdef BSON_APPEND_ARRAY_UNSAFE_BEGIN
    return bson_append_array_unsafe_begin(document, key, -1, array);
#else
    return bson_append_array_begin(document, key, -1, array);
#endif
}

#endif
