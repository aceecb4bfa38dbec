// SPDX-License-Identifier: Apache-2.0
/* What is open here stays, although it may have been retired: see retire.h. */
#include <errno.h>

#include "cache/base/log.h"
#include "fs/store/mongo/array.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/retire.h"

enum { AT_ONCE = 500 };

static bson_t *match(struct revision *const *open, uint32_t count) {
    bson_t *filter = bson_new(), among, ids, id;
    bson_iter_t value;
    bson_append_document_begin(filter, "_id", -1, &among);
    array_begin(&among, "$in", &ids);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        const char *index;
        (void)bson_uint32_to_string(i, &index, text, sizeof text);
        if (bson_init_static(&id, open[i]->id, open[i]->id_size) && bson_iter_init_find(&value, &id, "_id"))
            (void)document_append(&ids, index, &value);
    }
    bson_append_array_end(&among, &ids);
    bson_append_document_end(filter, &among);
    return filter;
}

static int keep_some(struct bucket *bucket, struct revision *const *open, uint32_t count) {
    int64_t now;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    bson_t *filter = match(open, count);
    bson_t *update = BCON_NEW("$max", "{", "due", BCON_DATE_TIME(retire_due_ms(bucket, now)), "kept",
                              BCON_DATE_TIME(now + RETIRE_LEAST_MS), "}");
    result = bucket_update(bucket, bucket->trash, filter, update, true, false, NULL);
    bson_destroy(update);
    bson_destroy(filter);
    return result;
}

int bucket_keep(struct store *store, struct revision *const *open, uint32_t count) {
    struct bucket *bucket = (struct bucket *)store;
    int result = 0;
    if (atomic_load(&bucket->keep_refused))
        return -EACCES;
    for (uint32_t i = 0; result == 0 && i < count; i += AT_ONCE) {
        uint32_t left = count - i;
        result = keep_some(bucket, open + i, left < AT_ONCE ? left : AT_ONCE);
    }
    if (result == -EACCES && !atomic_exchange(&bucket->keep_refused, true))
        log_warning("what is open of bucket %s cannot be kept beyond the grace of those who replace it, as this user "
                    "may not write to %s", bucket->store.bucket, bucket->trash);
    return result;
}
