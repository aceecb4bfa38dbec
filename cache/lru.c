// SPDX-License-Identifier: Apache-2.0
#include "cache/lru.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(entry) ((entry)->lost = true)
#include <uthash.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/stats.h"

struct entry {
    struct chunk_key key;
    bool lost;   /* the table had no memory for it */
    bool passed; /* in lru->passed, else in lru->used */
    bool ahead;  /* nobody has asked for it yet */
    struct blob *blob;
    struct entry *prev, *next;
    UT_hash_handle hh;
};

struct lru {
    struct entry *table;
    struct entry *used;   /* most recently used first */
    struct entry *passed; /* likewise */
    size_t passed_bytes;
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

static struct entry **list_of(struct lru *lru, const struct entry *entry) {
    return entry->passed ? &lru->passed : &lru->used;
}

static void note_use(struct entry *entry) {
    stats_add(STAT_readahead_used, entry->ahead);
    entry->ahead = false;
}

struct blob *lru_get(struct lru *lru, const struct chunk_key *key) {
    struct entry *entry = find(lru, key);
    if (!entry)
        return NULL;
    struct entry **list = list_of(lru, entry);
    DL_DELETE(*list, entry);
    DL_PREPEND(*list, entry);
    note_use(entry);
    return entry->blob;
}

void lru_read(struct lru *lru, const struct chunk_key *key) {
    struct entry *entry = find(lru, key);
    if (entry)
        note_use(entry);
}

bool lru_contains(struct lru *lru, const struct chunk_key *key) {
    return find(lru, key) != NULL;
}

int lru_put(struct lru *lru, const struct chunk_key *key, struct blob *blob, bool ahead) {
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
    entry->ahead = ahead;
    DL_PREPEND(lru->used, entry);
    return 0;
}

void lru_pass(struct lru *lru, const struct chunk_key *key) {
    struct entry *entry = find(lru, key);
    if (!entry || entry->passed)
        return;
    DL_DELETE(lru->used, entry);
    DL_PREPEND(lru->passed, entry);
    entry->passed = true;
    lru->passed_bytes += entry->blob->size;
}

size_t lru_passed(const struct lru *lru) {
    return lru->passed_bytes;
}

bool lru_evict(struct lru *lru) {
    struct entry **list = lru->passed ? &lru->passed : &lru->used;
    if (!*list)
        return false;
    struct entry *oldest = (*list)->prev; /* utlist: the head's prev is the tail */
    DL_DELETE(*list, oldest);
    if (oldest->passed)
        lru->passed_bytes -= oldest->blob->size;
    stats_add(STAT_unread_chunks, oldest->ahead);
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
    size_t passed = 0;
    const struct entry *const lists[] = {lru->used, lru->passed}, *entry;
    for (unsigned i = 0; i < 2; i++) {
        DL_FOREACH(lists[i], entry) {
            CHECK(find((struct lru *)lru, &entry->key) == entry);
            CHECK(entry->blob != NULL && entry->passed == (i == 1));
            passed += entry->passed ? entry->blob->size : 0;
            listed++;
        }
    }
    CHECK(listed == lru_count(lru) && passed == lru->passed_bytes);
}
