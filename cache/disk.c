// SPDX-License-Identifier: Apache-2.0
#include "cache/disk.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/stats.h"
#include "cache/disk_file.h"
#include "cache/disk_sound.h"
#include "cache/pace.h"

enum { LOOK_TICKS = 10 };

struct disk {
    struct disk_config config;
    unsigned char realm[DISK_REALM];
    struct disk_writer *writer;
    struct disk_sound *sound;
    unsigned ticks;
    struct lock lock;          /* guards what follows */
    struct pace ranges, heads; /* of the disk, near, and of the source below, far */
};

static struct disk_file file_of(const struct disk *disk, void *handle) {
    struct disk_content content;
    struct disk_file file;
    disk->config.describe(handle, &content);
    disk_file_init(&file, disk->realm, content.revision, content.length, content.chunk_size);
    return file;
}

/* Those of `count` chunks that were fetched, unless they are not what the file should have. */
static void store(struct disk *disk, const struct disk_file *file, uint32_t first, uint32_t count,
                  struct blob *const *blobs, const struct budget *budget) {
    if (!disk_writer_takes(disk->writer, file))
        return;
    for (uint32_t i = 0, end; i < count; i = end + 1) {
        for (end = i; end < count && blobs[end] && blobs[end]->size == disk_file_chunk(file, first + end); end++)
            ;
        if (end > i)
            disk_writer_store(disk->writer, file, first + i, end - i, blobs + i, budget);
    }
}

/* Chunk n, or NULL. */
static struct blob *read_chunk(struct disk *disk, const struct disk_open *open, const struct disk_file *file, uint32_t n,
                               struct budget *budget) {
    cleanup_with(blob_unref) struct blob *blob = blob_new(budget, disk_file_chunk(file, n));
    int result = blob ? disk_file_read(open, file, n, blob->bytes) : -ENOMEM;
    if (result == -EBADMSG)
        stats_add(STAT_disk_damaged, 1);
    disk_sound_note(disk->sound, open, file, n, result);
    return result ? NULL : steal_ptr(&blob);
}

/* What is there of these chunks. */
static void find(struct disk *disk, const struct disk_file *file, uint32_t first, uint32_t count, struct budget *budget,
                 struct blob **ret_blobs) {
    cleanup_disk_open struct disk_open open = {-1, -1};
    if (disk_file_open(disk->config.folder, file, false, &open))
        return;
    if (count > 1)
        disk_file_expect(&open, file, first, count);
    for (uint32_t i = 0; i < count; i++)
        ret_blobs[i] = read_chunk(disk, &open, file, first + i, budget);
    disk_file_use(&open);
}

static void count_found(struct blob *const *blobs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        stats_add(STAT_disk_hits, blobs[i] ? 1 : 0);
        stats_add(STAT_disk_bytes, blobs[i] ? blobs[i]->size : 0);
    }
}

/* ---- which way is quicker ---- */

static bool goes_below(struct disk *disk, struct pace *pace) {
    lock_acquire(&disk->lock);
    bool below = pace_goes_far(pace);
    lock_release(&disk->lock);
    return below;
}

static void note(struct disk *disk, struct pace_way *way, struct blob *const *blobs, uint32_t count, int64_t begun_ns) {
    int64_t bytes = 0, ns = clock_now_ns() - begun_ns;
    for (uint32_t i = 0; i < count; i++)
        bytes += blobs[i] ? (int64_t)blobs[i]->size : 0;
    lock_acquire(&disk->lock);
    pace_note(way, bytes, ns);
    lock_release(&disk->lock);
}

/* It failed: who is quicker does not matter now. */
static void forget(struct disk *disk, struct pace *pace) {
    lock_acquire(&disk->lock);
    *pace = (struct pace){0};
    lock_release(&disk->lock);
}

/* ---- ranges ---- */

static int ask_below(struct disk *disk, void *handle, uint32_t first, uint32_t count, struct budget *budget,
                     struct blob **ret_blobs, int *ret_errors) {
    const struct chunk_source *below = &disk->config.below;
    int64_t begun_ns = clock_now_ns();
    int result = below->fetch(below->context, handle, first, count, budget, ret_blobs, ret_errors);
    if (result == 0)
        note(disk, &disk->ranges.far, ret_blobs, count, begun_ns);
    else
        forget(disk, &disk->ranges);
    stats_add(STAT_disk_misses, count);
    return result;
}

/* What is missing is one question to the source below, from the first to the last of them: one round trip, as without the
 * tier. */
static int fetch(void *context, void *handle, uint32_t first, uint32_t count, struct budget *budget,
                 struct blob **ret_blobs, int *ret_errors) {
    struct disk *disk = context;
    struct disk_file file = file_of(disk, handle);
    uint32_t start = 0, end = count;
    if (goes_below(disk, &disk->ranges) && ask_below(disk, handle, first, count, budget, ret_blobs, ret_errors) == 0)
        return 0;
    int64_t begun_ns = clock_now_ns();
    find(disk, &file, first, count, budget, ret_blobs);
    note(disk, &disk->ranges.near, ret_blobs, count, begun_ns);
    while (start < end && ret_blobs[start])
        start++;
    while (end > start && ret_blobs[end - 1])
        end--;
    for (uint32_t i = start; i < end; i++)
        ret_blobs[i] = blob_unref(ret_blobs[i]);
    count_found(ret_blobs, count);
    if (start == end)
        return CHUNKS_NEAR;
    int result = ask_below(disk, handle, first + start, end - start, budget, ret_blobs + start, ret_errors + start);
    if (result == 0)
        store(disk, &file, first + start, end - start, ret_blobs + start, budget);
    if (result == 0 || end - start == count)
        return result;
    for (uint32_t i = start; i < end; i++)
        ret_errors[i] = result;
    return 0; /* for those that were found */
}

/* ---- heads ---- */

static int ask_heads_below(struct disk *disk, void *const *handles, uint32_t count, struct budget *budget,
                           struct blob **ret_blobs, int *ret_errors) {
    const struct chunk_source *below = &disk->config.below;
    int64_t begun_ns = clock_now_ns();
    int result = below->fetch_heads(below->context, handles, count, budget, ret_blobs, ret_errors);
    if (result == 0)
        note(disk, &disk->heads.far, ret_blobs, count, begun_ns);
    else
        forget(disk, &disk->heads);
    stats_add(STAT_disk_misses, count);
    return result;
}

static int fetch_heads(void *context, void *const *handles, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    struct disk *disk = context;
    struct disk_file files[CHUNKS_FETCH_MOST];
    void *missing[CHUNKS_FETCH_MOST];
    struct blob *blobs[CHUNKS_FETCH_MOST] = {0};
    int errors[CHUNKS_FETCH_MOST] = {0};
    uint32_t place[CHUNKS_FETCH_MOST], missed = 0;
    if (goes_below(disk, &disk->heads) && ask_heads_below(disk, handles, count, budget, ret_blobs, ret_errors) == 0)
        return 0;
    int64_t begun_ns = clock_now_ns();
    for (uint32_t i = 0; i < count; i++) {
        files[i] = file_of(disk, handles[i]);
        find(disk, &files[i], 0, 1, budget, &ret_blobs[i]);
        if (!ret_blobs[i]) {
            place[missed] = i;
            missing[missed++] = handles[i];
        }
    }
    note(disk, &disk->heads.near, ret_blobs, count, begun_ns);
    count_found(ret_blobs, count);
    int result = missed ? ask_heads_below(disk, missing, missed, budget, blobs, errors) : 0;
    if (result && missed == count)
        return result;
    for (uint32_t k = 0; k < missed; k++) {
        uint32_t i = place[k];
        ret_blobs[i] = blobs[k];
        ret_errors[i] = result ? result : errors[k];
        store(disk, &files[i], 0, 1, &blobs[k], budget);
    }
    return 0;
}

/* ---- whole files ---- */

static int whole(void *context, void *handle) {
    struct disk *disk = context;
    struct disk_file file = file_of(disk, handle);
    lock_acquire(&disk->lock);
    bool slow = pace_is_far(&disk->ranges);
    lock_release(&disk->lock);
    return slow ? -EAGAIN : disk_sound_open(disk->sound, &file);
}

struct chunk_source disk_source(struct disk *disk) {
    return (struct chunk_source){.context = disk,
                                 .fetch = fetch,
                                 .fetch_heads = fetch_heads,
                                 .whole = whole,
                                 .ref = disk->config.below.ref,
                                 .unref = disk->config.below.unref};
}

/* ---- its life ---- */

int disk_new(const struct disk_config *config, struct disk **ret_disk, char **ret_error) {
    struct disk *disk = calloc(1, sizeof *disk);
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (!disk)
        return -ENOMEM;
    lock_init(&disk->lock, LOCK_DISK);
    disk->config = *config;
    int result = EVP_Digest(config->realm, strlen(config->realm), digest, NULL, EVP_sha256(), NULL) ? 0 : -ENOMEM;
    disk->sound = disk_sound_new(config->folder);
    if (!disk->sound)
        result = -ENOMEM;
    if (result == 0)
        result = disk_writer_new(config->folder, &config->room, config->rest_ms, disk->sound, &disk->writer, ret_error);
    if (result) {
        disk_free(disk);
        return result;
    }
    memcpy(disk->realm, digest, sizeof disk->realm);
    disk->config.folder = disk_writer_state(disk->writer).folder;
    *ret_disk = disk;
    return 0;
}

struct disk *disk_free(struct disk *disk) {
    if (!disk)
        return NULL;
    disk_writer_free(disk->writer);
    disk_sound_free(disk->sound);
    lock_done(&disk->lock);
    free(disk);
    return NULL;
}

void disk_tick(struct disk *disk) {
    if (++disk->ticks % LOOK_TICKS == 0)
        disk_writer_look(disk->writer);
}

struct disk_state disk_state(struct disk *disk) {
    return disk_writer_state(disk->writer);
}
