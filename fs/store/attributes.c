// SPDX-License-Identifier: Apache-2.0
#include "fs/store/attributes.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

void attributes_set_file(struct attributes *attributes, const unsigned char file[ATTRIBUTES_FILE_SIZE]) {
    uint64_t identity;
    memcpy(attributes->file, file, ATTRIBUTES_FILE_SIZE);
    memcpy(&identity, file + ATTRIBUTES_FILE_SIZE - sizeof identity, sizeof identity);
    attributes->identity = identity ^ ((uint64_t)file[0] << 56 | (uint64_t)file[1] << 48);
    attributes->has |= ATTRIBUTES_FILE;
}

/* As drivers make an ObjectId: seconds, then randomness, which here need not be the process's. */
void attributes_new_file(struct attributes *attributes) {
    static atomic_uint counter;
    unsigned char file[ATTRIBUTES_FILE_SIZE];
    uint32_t now = (uint32_t)time(NULL);
    for (int i = 0; i < 4; i++)
        file[i] = (unsigned char)(now >> (24 - 8 * i));
    if (getrandom(file + 4, sizeof file - 4, GRND_NONBLOCK) != (ssize_t)(sizeof file - 4)) {
        unsigned count = atomic_fetch_add(&counter, 1);
        struct timespec precise;
        clock_gettime(CLOCK_REALTIME, &precise);
        memcpy(file + 4, &precise.tv_nsec, 4);
        memcpy(file + 8, &count, 4);
    }
    attributes_set_file(attributes, file);
}

void attributes_apply(struct attributes *attributes, const struct attributes *changes) {
    unsigned has = changes->has;
    if (has & ATTRIBUTES_MODE)
        attributes->mode = changes->mode;
    if (has & ATTRIBUTES_UID)
        attributes->uid = changes->uid;
    if (has & ATTRIBUTES_GID)
        attributes->gid = changes->gid;
    if (has & ATTRIBUTES_ATIME)
        attributes->atime_ns = changes->atime_ns;
    if (has & ATTRIBUTES_MTIME)
        attributes->mtime_ns = changes->mtime_ns;
    if (has & ATTRIBUTES_CTIME)
        attributes->ctime_ns = changes->ctime_ns;
    if (has & ATTRIBUTES_LINKS)
        attributes->links = changes->links;
    if (has & ATTRIBUTES_FILE)
        attributes_set_file(attributes, changes->file);
    attributes->has |= has;
}
