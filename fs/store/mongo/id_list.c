// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/id_list.h"

#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "fs/store/mongo/array.h"
#include "fs/store/mongo/document.h"

void id_list_match(bson_t *filter, const char *field, struct revision *const *revisions, uint32_t count) {
    bson_t in, ids;
    bson_append_document_begin(filter, field, -1, &in);
    array_begin(&in, "$in", &ids);
    for (uint32_t i = 0; i < count; i++) {
        char index[16];
        bson_t id;
        bson_iter_t value;
        snprintf(index, sizeof index, "%u", i);
        CHECK(bson_init_static(&id, revisions[i]->id, revisions[i]->id_size));
        CHECK(bson_iter_init_find(&value, &id, "_id"));
        document_append(&ids, index, &value);
    }
    bson_append_array_end(&in, &ids);
    bson_append_document_end(filter, &in);
}

uint32_t id_list_find(struct revision *const *revisions, uint32_t count, const bson_iter_t *id) {
    bson_t holder = BSON_INITIALIZER;
    uint32_t i = document_append(&holder, "_id", id) ? 0 : count;
    while (i < count && (revisions[i]->id_size != holder.len ||
                         memcmp(revisions[i]->id, bson_get_data(&holder), holder.len) != 0))
        i++;
    bson_destroy(&holder);
    return i;
}
