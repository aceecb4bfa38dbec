#include "cache/lru.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>
#include <utlist.h>

#include "cache/base/check.h"

struct entry {
    struct chunk_key key;
    bool lost; /* the table had no memory for it */
    struct blob *blob;
    struct entry *prev, *next; /* most recently used first */
    UT_hash_handle hh;
};

struct lru {
    struct entry *table;
    struct entry *list;
};

struct lru *lru_new(void) {
    return calloc(1, sizeof(struct lru));
}

struct lru *lru_free(struct lru *lru) {
    if (lru) {
        while (lru_evict(lru))
            ;
        free(lru);
    }
    return NULL;
}

static struct entry *find(struct lru *lru, const struct chunk_key *key) {
    struct entry *entry;
    HASH_FIND(hh, lru->table, key, sizeof *key, entry);
    return entry;
}

struct blob *lru_get(struct lru *lru, const struct chunk_key *key) {
    struct entry *entry = find(lru, key);
    if (!entry)
        return NULL;
    DL_DELETE(lru->list, entry);
    DL_PREPEND(lru->list, entry);
    return entry->blob;
}

bool lru_contains(struct lru *lru, const struct chunk_key *key) {
    return find(lru, key) != NULL;
}

int lru_put(struct lru *lru, const struct chunk_key *key, struct blob *blob) {
    if (find(lru, key))
        return 0;
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return -ENOMEM;
    entry->key = *key;
    HASH_ADD(hh, lru->table, key, sizeof entry->key, entry);
    if (entry->lost) {
        free(entry);
        return -ENOMEM;
    }
    entry->blob = blob_ref(blob);
    DL_PREPEND(lru->list, entry);
    return 0;
}

bool lru_evict(struct lru *lru) {
    if (!lru->list)
        return false;
    struct entry *oldest = lru->list->prev; /* utlist: the head's prev is the tail */
    DL_DELETE(lru->list, oldest);
    HASH_DEL(lru->table, oldest);
    blob_unref(oldest->blob);
    free(oldest);
    return true;
}

uint64_t lru_count(const struct lru *lru) {
    return HASH_COUNT(lru->table);
}

void lru_check(const struct lru *lru) {
    uint64_t listed = 0;
    const struct entry *entry;
    DL_FOREACH(lru->list, entry) {
        CHECK(find((struct lru *)lru, &entry->key) == entry);
        CHECK(entry->blob != NULL);
        listed++;
    }
    CHECK(listed == lru_count(lru));
}
