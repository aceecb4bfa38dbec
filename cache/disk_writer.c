// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_writer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "cache/base/workers.h"

enum { QUEUED_RUNS = 256, QUEUED_BYTES = 32 << 20, QUEUED_SHARE = 8 };

struct disk_writer {
    char *folder;
    struct disk_room room;
    int64_t rest_ms;
    struct disk_sound *sound;
    struct workers *thread;
    atomic_size_t queued;   /* bytes that wait for it */
    atomic_size_t most;     /* how many may, of the budget that was last seen; 0: none was */
    atomic_uint runs;       /* that wait for it */
    struct lock lock;       /* guards what follows; only the thread changes it */
    int64_t used;           /* by all files, when it last looked */
    int64_t written, spare; /* since then; and how much until it looks again */
    int resting;            /* 0, or why */
    int64_t rest_until_ms;
};

/* ---- its state ---- */

static unsigned percent_of(size_t part, size_t whole) {
    size_t percent = whole ? part * 100 / whole + (part * 100 % whole != 0) : 0;
    return percent < 100 ? (unsigned)percent : 100;
}

/* By bytes or by runs, whichever is closer to its end. 0: nothing waits. */
static unsigned backlog(struct disk_writer *writer) {
    unsigned bytes = percent_of(atomic_load(&writer->queued), atomic_load(&writer->most));
    unsigned runs = percent_of(atomic_load(&writer->runs), QUEUED_RUNS);
    return bytes > runs ? bytes : runs;
}

struct disk_state disk_writer_state(struct disk_writer *writer) {
    lock_acquire(&writer->lock);
    struct disk_state state = {.folder = writer->folder,
                               .used = writer->used + writer->written,
                               .resting = writer->resting,
                               .backlog = backlog(writer)};
    lock_release(&writer->lock);
    return state;
}

static bool is_resting(struct disk_writer *writer) {
    lock_acquire(&writer->lock);
    bool resting = writer->resting && clock_now_ms() < writer->rest_until_ms;
    lock_release(&writer->lock);
    return resting;
}

static void rest(struct disk_writer *writer, int why) {
    lock_acquire(&writer->lock);
    bool again = writer->resting == why;
    writer->resting = why;
    writer->rest_until_ms = clock_now_ms() + writer->rest_ms;
    lock_release(&writer->lock);
    if (!again)
        log_warning("cache_dir %s: %s; nothing is kept there for now", writer->folder, strerror(-why));
}

static void rest_no_more(struct disk_writer *writer) {
    lock_acquire(&writer->lock);
    bool rested = writer->resting != 0;
    writer->resting = 0;
    lock_release(&writer->lock);
    if (rested)
        log_info("cache_dir %s is in use again", writer->folder);
}

/* ---- room ---- */

enum { SPARE_SHARE = 4 }; /* of what is left, until the next look */

/* There is to be some room to write into before the next look, for these bytes at the least. */
static int trim(struct disk_writer *writer, int64_t bytes, int64_t more_free) {
    int64_t most = writer->room.most, spare = most / 32, used;
    if (spare < SPARE_SHARE * bytes)
        spare = SPARE_SHARE * bytes < most / 2 ? SPARE_SHARE * bytes : most / 2;
    struct disk_room room = {.most = most - spare, .least_free = writer->room.least_free + more_free};
    int result = disk_folder_trim(writer->folder, &room, &used);
    if (result)
        return result;
    lock_acquire(&writer->lock);
    writer->used = used;
    writer->written = 0;
    writer->spare = used < most ? (most - used) / SPARE_SHARE : 0;
    lock_release(&writer->lock);
    return 0;
}

static int has_free(struct disk_writer *writer, int64_t bytes, bool *ret_enough) {
    int64_t now;
    int result = disk_folder_free(writer->folder, &now);
    if (result == 0)
        *ret_enough = now - bytes >= writer->room.least_free;
    return result;
}

/* For one chunk; it counts as written from here on. -ENOSPC: there is none. */
static int make_room(struct disk_writer *writer, int64_t bytes) {
    bool enough;
    int result = writer->written + bytes > writer->spare ? trim(writer, bytes, 0) : 0;
    if (result == 0)
        result = has_free(writer, bytes, &enough);
    if (result == 0 && !enough)
        result = trim(writer, bytes, bytes);
    if (result == 0 && !enough)
        result = has_free(writer, bytes, &enough);
    if (result == 0 && (!enough || writer->written + bytes > writer->spare))
        result = -ENOSPC;
    if (result)
        return result;
    lock_acquire(&writer->lock);
    writer->written += bytes;
    lock_release(&writer->lock);
    return 0;
}

static void look_task(void *argument) {
    struct disk_writer *writer = argument;
    bool enough;
    if (has_free(writer, 0, &enough) == 0 && !enough)
        (void)trim(writer, 0, 0);
    disk_sound_mark(writer->sound);
}

void disk_writer_look(struct disk_writer *writer) {
    (void)workers_submit(writer->thread, look_task, writer); /* if it has too much to do: next time */
}

/* ---- writing ---- */

/* Chunks of one file, one behind the other. */
struct run {
    struct disk_writer *writer;
    struct disk_file file;
    uint32_t first, count;
    size_t bytes;
    struct blob *blobs[];
};

static int write_run(const struct run *run) {
    struct disk_writer *writer = run->writer;
    const char *why;
    int result = writer->resting ? disk_folder_prepare(writer->folder, &why) : 0;
    cleanup_disk_open struct disk_open open = {-1, -1};
    if (result == 0)
        result = disk_file_open(writer->folder, &run->file, true, &open);
    int64_t takes = 0;
    for (uint32_t i = 0; result == 0 && i < run->count; i++) {
        int64_t before = takes;
        takes = disk_file_takes(&run->file, run->first, i + 1);
        result = make_room(writer, takes - before);
        if (result == 0) {
            disk_sound_writes(writer->sound, &run->file);
            result = disk_file_write(&open, &run->file, run->first + i, run->blobs[i]->bytes);
            disk_sound_wrote(writer->sound, &open, &run->file, run->first + i, result);
        }
        stats_add(STAT_disk_bytes_stored, result ? 0 : run->blobs[i]->size);
    }
    return result;
}

static void run_free(struct run *run) {
    atomic_fetch_sub(&run->writer->queued, run->bytes);
    atomic_fetch_sub(&run->writer->runs, 1);
    for (uint32_t i = 0; i < run->count; i++)
        blob_unref(run->blobs[i]);
    free(run);
}

static void write_task(void *argument) {
    struct run *run = argument;
    struct disk_writer *writer = run->writer;
    if (!is_resting(writer)) {
        int result = write_run(run);
        if (result == 0)
            rest_no_more(writer);
        else if (result != -EPERM || writer->resting) /* a foreign file: this one is not kept */
            rest(writer, result);
    }
    run_free(run);
}

static bool may_queue(struct disk_writer *writer, size_t bytes, const struct budget *budget) {
    size_t most = budget->limit / QUEUED_SHARE < QUEUED_BYTES ? budget->limit / QUEUED_SHARE : QUEUED_BYTES;
    size_t before = atomic_fetch_add(&writer->queued, bytes);
    atomic_store(&writer->most, most);
    if (before == 0 || before + bytes <= most)
        return true;
    atomic_fetch_sub(&writer->queued, bytes);
    return false;
}

static bool queue(struct disk_writer *writer, const struct disk_file *file, uint32_t first, uint32_t count,
                  struct blob *const *blobs, const struct budget *budget) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < count; i++)
        bytes += blobs[i]->size;
    if (!may_queue(writer, bytes, budget))
        return false;
    struct run *run = malloc(sizeof *run + count * sizeof *run->blobs);
    if (!run) {
        atomic_fetch_sub(&writer->queued, bytes);
        return false;
    }
    atomic_fetch_add(&writer->runs, 1);
    *run = (struct run){.writer = writer, .file = *file, .first = first, .count = count, .bytes = bytes};
    for (uint32_t i = 0; i < count; i++)
        run->blobs[i] = blob_ref(blobs[i]);
    bool queued = workers_submit(writer->thread, write_task, run);
    if (!queued)
        run_free(run);
    return queued;
}

void disk_writer_store(struct disk_writer *writer, const struct disk_file *file, uint32_t first, uint32_t count,
                       struct blob *const *blobs, const struct budget *budget) {
    if (!queue(writer, file, first, count, blobs, budget))
        stats_add(STAT_disk_dropped, count);
}

bool disk_writer_takes(struct disk_writer *writer, const struct disk_file *file) {
    return file->length > 0 && disk_file_takes(file, 0, disk_file_chunks(file)) <= writer->room.most && !is_resting(writer);
}

/* ---- its life ---- */

/* Today it may be full or read-only; what will be as wrong tomorrow is to be said to who asked for it. */
static bool may_pass(int result) {
    return result == -ENOSPC || result == -EDQUOT || result == -EROFS || result == -EIO;
}

static int prepare(struct disk_writer *writer, char **ret_error) {
    const char *why;
    int result = disk_folder_prepare(writer->folder, &why);
    if (may_pass(result)) {
        rest(writer, result);
        return 0;
    }
    if (result && asprintf(ret_error, "cache_dir %s: %s; give a directory of yours, or leave it out", writer->folder,
                           why) < 0)
        *ret_error = NULL;
    return result;
}

int disk_writer_new(const char *folder, const struct disk_room *room, int64_t rest_ms, struct disk_sound *sound,
                    struct disk_writer **ret_writer, char **ret_error) {
    struct disk_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return -ENOMEM;
    lock_init(&writer->lock, LOCK_DISK);
    writer->folder = strdup(folder);
    writer->room = *room;
    writer->rest_ms = rest_ms;
    writer->sound = sound;
    writer->thread = workers_new(1, QUEUED_RUNS);
    int result = writer->folder && writer->thread ? prepare(writer, ret_error) : -ENOMEM;
    if (result)
        disk_writer_free(writer);
    else
        *ret_writer = writer;
    return result;
}

struct disk_writer *disk_writer_free(struct disk_writer *writer) {
    if (!writer)
        return NULL;
    workers_free(writer->thread);
    CHECK(atomic_load(&writer->queued) == 0);
    lock_done(&writer->lock);
    free(writer->folder);
    free(writer);
    return NULL;
}
