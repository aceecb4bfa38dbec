// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/retries.h"

#include "cache/base/clock.h"

enum { CALL_MS = 1000 }; /* past that it surely is another call */

void retries_init(struct retries *retries) {
    *retries = (struct retries){0};
    lock_init(&retries->lock, LOCK_HANDLE);
}

void retries_done(struct retries *retries) {
    lock_done(&retries->lock);
}

static uint64_t digest_of(const char *path) {
    uint64_t digest = UINT64_C(14695981039346656037); /* FNV-1a */
    for (; *path; path++)
        digest = (digest ^ (unsigned char)*path) * UINT64_C(1099511628211);
    return digest;
}

void retries_expect(struct retries *retries, pid_t thread, const char *path) {
    lock_acquire(&retries->lock);
    retries->list[retries->next++ % RETRIES] = (struct retry){thread, digest_of(path), clock_now_ms()};
    lock_release(&retries->lock);
}

bool retries_take(struct retries *retries, pid_t thread, const char *path, int64_t checked_ms) {
    uint64_t name = digest_of(path);
    int64_t now = clock_now_ms();
    bool found = false;
    lock_acquire(&retries->lock);
    for (unsigned i = 0; i < RETRIES && thread; i++) {
        struct retry *retry = &retries->list[i];
        if (retry->thread != thread)
            continue;
        found |= retry->name == name && checked_ms >= retry->at_ms && now - retry->at_ms < CALL_MS;
        *retry = (struct retry){0}; /* good for one open, and over when another is opened */
    }
    lock_release(&retries->lock);
    return found;
}

void retries_forget(struct retries *retries, pid_t thread) {
    lock_acquire(&retries->lock);
    for (unsigned i = 0; i < RETRIES; i++)
        if (retries->list[i].thread == thread)
            retries->list[i] = (struct retry){0};
    lock_release(&retries->lock);
}
