// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/greeting.h"

#include <string.h>
#include <uthash.h>

#include "cache/base/clock.h"
#include "fs/store/mongo/complaint.h"

struct first_word {
    UT_hash_handle hh;
    char server[];
};

void greeting_init(struct greeting *greeting) {
    *greeting = (struct greeting){0};
    lock_init(&greeting->lock, LOCK_GREETING);
    condition_init(&greeting->heard);
}

void greeting_done(struct greeting *greeting) {
    struct first_word *word, *next;
    HASH_ITER(hh, greeting->words, word, next) {
        HASH_DEL(greeting->words, word);
        free(word);
    }
    condition_done(&greeting->heard);
    lock_done(&greeting->lock);
}

/* False: it was heard before. What there is no memory for is waited for in vain, no more. */
static bool is_first_word(struct greeting *greeting, const char *server) {
    struct first_word *word;
    size_t size = strlen(server);
    HASH_FIND_STR(greeting->words, server, word);
    if (word || !(word = calloc(1, sizeof *word + size + 1)))
        return false;
    memcpy(word->server, server, size);
    HASH_ADD_STR(greeting->words, server, word);
    return true;
}

void greeting_expect(struct greeting *greeting) {
    lock_acquire(&greeting->lock);
    greeting->servers++;
    lock_release(&greeting->lock);
}

void greeting_heard(struct greeting *greeting, const char *server, const bson_error_t *error) {
    lock_acquire(&greeting->lock);
    if (!greeting->over && !error) {
        greeting->over = true;
    } else if (!greeting->over && is_first_word(greeting, server) && complaint_is_final(error)) {
        greeting->refusing++;
        greeting->refusal = *error;
    }
    condition_signal(&greeting->heard);
    lock_release(&greeting->lock);
}

bool greeting_refused(struct greeting *greeting, int milliseconds, bson_error_t *ret_refusal) {
    int64_t until = clock_now_ms() + milliseconds, left = milliseconds;
    lock_acquire(&greeting->lock);
    while (!greeting->over && HASH_COUNT(greeting->words) < greeting->servers && left > 0) {
        (void)condition_wait_for(&greeting->heard, &greeting->lock, left);
        left = until - clock_now_ms();
    }
    bool refused = !greeting->over && greeting->servers && greeting->refusing >= greeting->servers;
    if (refused)
        *ret_refusal = greeting->refusal;
    greeting->over = true;
    lock_release(&greeting->lock);
    return refused;
}
