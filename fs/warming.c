// SPDX-License-Identifier: Apache-2.0
#include "fs/warming.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/entries.h"
#include "fs/globs.h"

enum {
    PIECE = 2 << 20,    /* bytes, of one question */
    PIECE_LEAST = 256 << 10,
    QUICK_MS = 100,     /* what a question should take: the end waits for it */
    SLOW_MS = 400,
    TRIES = 3,          /* of what fails although the server answers */
    LOOKUPS = 3,        /* of a file that is replaced all the time */
    FIRST_WAIT_MS = 250,
    LONGEST_WAIT_MS = 30000,
    BACKLOG_MOST = 50,  /* percent of cache_dir's queue: the other half is the programs' */
    BACKLOG_LOOK_MS = 10,
    TURN_MOST_MS = 1000,
    LEAST_PRIORITY = 19,
};

enum state { IDLE, RUNNING, WAITING, DONE, FULL };

static const char *const state_words[] = {
    [IDLE] = "idle", [RUNNING] = "running", [WAITING] = "waiting", [DONE] = "done", [FULL] = "full"};

/* A directory to be read. */
struct pending {
    struct inode *inode; /* with a lookup; the root has none */
    struct pending *next;
    char path[]; /* "": the root */
};

struct warming {
    struct warming_config config;
    pthread_t thread;
    struct lock lock; /* guards what follows */
    struct condition changed;
    bool begun, stopped;
    atomic_int state;
    atomic_uint_least64_t files, bytes, failed;
    struct pending *pending; /* of the thread, as what follows */
    uint64_t reads;          /* of programs, when it last looked */
    size_t piece;            /* bytes, of the next question */
};

/* ---- waiting ---- */

/* Sleeps so long, or until it is stopped; returns whether it is not. */
static bool sleeps(struct warming *warming, int64_t ms) {
    int64_t until = clock_now_ms() + ms;
    lock_acquire(&warming->lock);
    for (int64_t left = ms; !warming->stopped && left > 0; left = until - clock_now_ms())
        (void)condition_wait_for(&warming->changed, &warming->lock, left);
    bool goes_on = !warming->stopped;
    lock_release(&warming->lock);
    return goes_on;
}

static bool goes_on(struct warming *warming) {
    return sleeps(warming, 0);
}

/* Whether what has failed is worth another try, after a wait that doubles each time. A server that is away comes back some
 * day. */
static bool tries_again(struct warming *warming, int error, unsigned *tries) {
    bool away = error == -ETIMEDOUT;
    if (error == -ENOENT || error == -ESTALE || error == -EACCES || (!away && *tries + 1 >= TRIES))
        return false;
    int64_t wait_ms = *tries < 7 ? (int64_t)FIRST_WAIT_MS << *tries : LONGEST_WAIT_MS;
    ++*tries;
    atomic_store(&warming->state, away ? WAITING : RUNNING);
    bool again = sleeps(warming, wait_ms);
    atomic_store(&warming->state, RUNNING);
    return again;
}

/* What comes faster than cache_dir takes it would not be kept there. */
static void wait_for_disk(struct warming *warming) {
    struct disk *disk = warming->config.disk;
    while (disk && disk_state(disk).backlog > BACKLOG_MOST && sleeps(warming, BACKLOG_LOOK_MS))
        ;
}

/* Programs that read have every second turn at least. */
static void give_way(struct warming *warming, int64_t took_ms) {
    uint64_t reads = stats_get(STAT_reads);
    if (reads != warming->reads)
        (void)sleeps(warming, took_ms < TURN_MOST_MS ? took_ms : TURN_MOST_MS);
    warming->reads = stats_get(STAT_reads);
}

static void fail(struct warming *warming, const char *path, int error) {
    if (error == -ENOENT || !goes_on(warming)) /* removed meanwhile; or it ends */
        return;
    log_warning("warm: '%s' could not be read: %s", path, strerror(-error));
    atomic_fetch_add(&warming->failed, 1);
}

/* ---- files ---- */

/* Over a slow link smaller pieces are asked for. */
static void choose_piece(struct warming *warming, int64_t took_ms) {
    if (took_ms > SLOW_MS && warming->piece > PIECE_LEAST)
        warming->piece /= 2;
    else if (took_ms < QUICK_MS && warming->piece < PIECE)
        warming->piece *= 2;
}

static int fetch_piece(struct warming *warming, struct handle *handle, int64_t offset, size_t size) {
    bool stays = (int64_t)atomic_load(&warming->bytes) < warming->config.memory;
    wait_for_disk(warming);
    int64_t begun = clock_now_ms();
    int result = vfs_fetch(warming->config.vfs, handle, offset, size, stays);
    int64_t took_ms = clock_now_ms() - begun;
    choose_piece(warming, took_ms);
    give_way(warming, took_ms);
    return result;
}

static int fetch(struct warming *warming, struct handle *handle, int64_t length) {
    int result = 0;
    unsigned tries = 0;
    for (int64_t offset = 0; result == 0 && offset < length && goes_on(warming);) {
        int64_t left = length - offset;
        size_t size = left < (int64_t)warming->piece ? (size_t)left : warming->piece;
        result = fetch_piece(warming, handle, offset, size);
        if (result == 0) {
            offset += (int64_t)size;
            atomic_fetch_add(&warming->bytes, size);
            tries = 0;
        } else if (tries_again(warming, result, &tries)) {
            result = 0;
        }
    }
    return result;
}

/* As it is now: what was listed may be replaced. -ENOENT: it is gone. */
static int open_entry(struct warming *warming, struct inode *directory, struct entry *entry, struct handle **ret_handle) {
    const struct vfs_caller caller = {.uid = geteuid(), .gid = getegid(), .pid = gettid()};
    struct vfs *vfs = warming->config.vfs;
    bool live;
    int result = entry->inode ? vfs_open(vfs, entry->inode, O_RDONLY, &caller, ret_handle, &live) : -ESTALE;
    for (unsigned i = 0; result == -ESTALE && i < LOOKUPS; i++) {
        result = entry_look_up(vfs, directory, entry);
        if (result)
            vfs_looked_in_vain(vfs, &caller);
        else
            result = S_ISREG(entry->mode) ? vfs_open(vfs, entry->inode, O_RDONLY, &caller, ret_handle, &live) : -ENOENT;
    }
    return result;
}

/* *ret_fits: there is room for it. */
static int warm_opened(struct warming *warming, const struct entry *entry, struct handle *handle, bool *ret_fits) {
    struct stat attributes;
    int result = vfs_attributes(warming->config.vfs, entry->inode, &attributes);
    if (result)
        return result;
    *ret_fits = (int64_t)atomic_load(&warming->bytes) + attributes.st_size <= warming->config.room;
    return *ret_fits ? fetch(warming, handle, attributes.st_size) : 0;
}

/* False: there is no room for it. */
static bool warm_file(struct warming *warming, struct inode *directory, struct entry *entry, const char *path) {
    struct handle *handle;
    bool fits = true;
    int result = -ESTALE;
    for (unsigned i = 0; result == -ESTALE && i < LOOKUPS; i++) { /* it may be replaced while it is read, too */
        unsigned tries = 0;
        do
            result = open_entry(warming, directory, entry, &handle);
        while (result && tries_again(warming, result, &tries));
        if (result)
            break;
        result = warm_opened(warming, entry, handle, &fits);
        vfs_close(warming->config.vfs, handle);
    }
    if (result)
        fail(warming, path, result);
    else if (fits && goes_on(warming))
        atomic_fetch_add(&warming->files, 1);
    return fits;
}

/* ---- directories ---- */

/* Takes the lookup of `inode` over. */
static void push(struct warming *warming, struct inode *inode, const char *path) {
    size_t size = strlen(path) + 1;
    struct pending *pending = malloc(sizeof *pending + size);
    if (!pending) {
        fail(warming, path, -ENOMEM);
        if (inode)
            vfs_forget(warming->config.vfs, inode, 1);
        return;
    }
    pending->inode = inode;
    memcpy(pending->path, path, size);
    pending->next = warming->pending;
    warming->pending = pending;
}

static void push_entry(struct warming *warming, struct inode *directory, struct entry *entry, const char *path) {
    unsigned tries = 0;
    int result = 0;
    do
        result = entry->inode ? 0 : entry_look_up(warming->config.vfs, directory, entry);
    while (result && tries_again(warming, result, &tries));
    if (entry->inode)
        push(warming, steal_ptr(&entry->inode), path);
    else
        fail(warming, path, result);
}

/* False: it is over, since there is no room. */
static bool use_entry(struct warming *warming, struct inode *directory, const char *above, struct entry *entry) {
    cleanup_free char *path = NULL;
    char *const *globs = warming->config.globs;
    if (!entry->name || asprintf(&path, "%s%s%s", above, *above ? "/" : "", entry->name) < 0) {
        path = NULL;
        fail(warming, above, -ENOMEM);
        return true;
    }
    if (vfs_is_status(warming->config.vfs, directory, entry->name)) /* .gridfs */
        return true;
    if (S_ISDIR(entry->mode) && globs_may_match_below(globs, path))
        push_entry(warming, directory, entry, path);
    return !S_ISREG(entry->mode) || !globs_match(globs, path) || warm_file(warming, directory, entry, path);
}

/* Lets all of them go, also when it is over before. */
static bool use_entries(struct warming *warming, struct inode *directory, const char *above, struct entries *entries) {
    bool fits = true;
    for (unsigned i = 0; i < entries->count; i++) {
        if (fits && goes_on(warming))
            fits = use_entry(warming, directory, above, &entries->list[i]);
        entry_done(warming->config.vfs, &entries->list[i]);
    }
    return fits;
}

/* False: it is over, since there is no room. */
static bool warm_directory(struct warming *warming, struct inode *inode, const char *path) {
    struct vfs *vfs = warming->config.vfs;
    struct handle *handle = NULL;
    struct entries entries = {0};
    unsigned tries = 0;
    bool fits = true, more = true;
    int result;
    do
        result = vfs_open_directory(vfs, inode, &handle);
    while (result && tries_again(warming, result, &tries));
    while (result == 0 && more && fits && goes_on(warming)) {
        result = entries_read(vfs, handle, &entries, &more);
        fits = use_entries(warming, inode, path, &entries);
        tries = result ? tries : 0;
        if (result && tries_again(warming, result, &tries))
            result = 0; /* from where it was */
    }
    if (result)
        fail(warming, path, result);
    if (handle)
        vfs_close(vfs, handle);
    return fits;
}

/* ---- its life ---- */

static bool warm_all(struct warming *warming) {
    bool fits = true;
    push(warming, NULL, "");
    while (warming->pending) {
        struct pending *pending = warming->pending;
        struct inode *inode = pending->inode ? pending->inode : vfs_root(warming->config.vfs);
        warming->pending = pending->next;
        if (fits && goes_on(warming))
            fits = warm_directory(warming, inode, pending->path);
        if (pending->inode)
            vfs_forget(warming->config.vfs, inode, 1);
        free(pending);
    }
    return fits;
}

static bool is_begun(struct warming *warming) {
    lock_acquire(&warming->lock);
    while (!warming->begun && !warming->stopped)
        condition_wait(&warming->changed, &warming->lock);
    bool begun = !warming->stopped;
    lock_release(&warming->lock);
    return begun;
}

static void *run(void *argument) {
    struct warming *warming = argument;
    if (!is_begun(warming))
        return NULL;
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), LEAST_PRIORITY); /* on Linux, of a thread */
    atomic_store(&warming->state, RUNNING);
    bool fits = warm_all(warming);
    if (!goes_on(warming))
        return NULL;
    atomic_store(&warming->state, fits ? DONE : FULL);
    log_info("warmed %llu files, %llu bytes; %llu failed%s", (unsigned long long)atomic_load(&warming->files),
             (unsigned long long)atomic_load(&warming->bytes), (unsigned long long)atomic_load(&warming->failed),
             fits ? "" : "; the caches have no room for more");
    return NULL;
}

static struct warming *forget(struct warming *warming) {
    condition_done(&warming->changed);
    lock_done(&warming->lock);
    free(warming);
    return NULL;
}

struct warming *warming_new(const struct warming_config *config) {
    struct warming *warming = calloc(1, sizeof *warming);
    if (!warming)
        return NULL;
    warming->config = *config;
    warming->piece = PIECE;
    lock_init(&warming->lock, LOCK_WORKERS);
    condition_init(&warming->changed);
    return pthread_create(&warming->thread, NULL, run, warming) ? forget(warming) : warming;
}

void warming_begin(struct warming *warming) {
    lock_acquire(&warming->lock);
    warming->begun = true;
    condition_broadcast(&warming->changed);
    lock_release(&warming->lock);
}

struct status_warming warming_state(struct warming *warming) {
    return (struct status_warming){.state = state_words[atomic_load(&warming->state)],
                                   .files = atomic_load(&warming->files),
                                   .bytes = atomic_load(&warming->bytes),
                                   .failed = atomic_load(&warming->failed)};
}

struct warming *warming_free(struct warming *warming) {
    if (!warming)
        return NULL;
    lock_acquire(&warming->lock);
    warming->stopped = true;
    condition_broadcast(&warming->changed);
    lock_release(&warming->lock);
    pthread_join(warming->thread, NULL);
    return forget(warming);
}
