// SPDX-License-Identifier: Apache-2.0
#include "fs/store/store.h"

#include <string.h>

void store_entry_done(struct store_entry *entry) {
    revision_unref(entry->revision);
    free(entry->target);
    free(entry->witness);
    memset(entry, 0, sizeof *entry);
}

void store_item_done(struct store_item *item) {
    store_entry_done(&item->entry);
    free(item->key);
    item->key = NULL;
}

void store_past_done(struct store_past *past) {
    revision_unref(past->revision);
    free(past->id);
    free(past->sha256);
}

void store_pasts_free(struct store_past *list, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        store_past_done(&list[i]);
    free(list);
}

void server_free_names(char **names) {
    for (char **name = names; name && *name; name++)
        free(*name);
    free(names);
}

void store_xattrs_free(struct store_xattr *first) {
    while (first) {
        struct store_xattr *next = first->next;
        free(first);
        first = next;
    }
}
