// SPDX-License-Identifier: Apache-2.0
/* Questions about many files at once, by their _ids. Pure functions, any thread. */
#ifndef FS_STORE_MONGO_ID_LIST_H
#define FS_STORE_MONGO_ID_LIST_H

#include <bson/bson.h>

#include "fs/store/revision.h"

/* Appends {field: {$in: [their _ids]}}. */
void id_list_match(bson_t *filter, const char *field, struct revision *const *revisions, uint32_t count);
/* The index of the revision with this _id; `count`: none has it. */
uint32_t id_list_find(struct revision *const *revisions, uint32_t count, const bson_iter_t *id);

#endif
