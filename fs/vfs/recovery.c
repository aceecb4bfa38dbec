// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/recovery.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "cache/journal.h"
#include "fs/vfs/unstored.h"
#include "fs/vfs/vfs_private.h"

enum { DELAY_LEAST_MS = 2000, DELAY_CLAIMED_MS = 4000, DELAY_MOST_MS = 60000 };

char *recovery_path(const char *path, int64_t when_ms, unsigned number) {
    const char *slash = strrchr(path, '/');
    size_t size = strlen(path), folder = slash ? (size_t)(slash + 1 - path) : 0;
    char suffix[64], date[32], *recovered = NULL;
    time_t when = (time_t)(when_ms / 1000);
    struct tm parts;
    strftime(date, sizeof date, "%Y-%m-%dT%H%M%SZ", gmtime_r(&when, &parts));
    int length = snprintf(suffix, sizeof suffix, number ? ".recovered-%s-%u" : ".recovered-%s", date, number);
    size_t most = folder + NAMES_COMPONENT_MOST - (size_t)length;
    if (size > most)
        for (size = most; size > folder && ((unsigned char)path[size] & 0xc0) == 0x80;)
            size--; /* not within a character */
    return asprintf(&recovered, "%.*s%s", (int)size, path, suffix) < 0 ? NULL : recovered;
}

/* One record, while it is stored. */
struct recovering {
    struct vfs *vfs;
    unsigned place; /* among those that were found */
    struct store *store;
    struct unstored unstored;
    struct file *file; /* its content */
    bool incomplete;   /* without what lay under it */
};

/* ---- its content ---- */

static int rebuild(struct recovering *recovering, struct journal_record *record, struct revision *under) {
    struct vfs *vfs = recovering->vfs;
    cleanup_with(published_unref) struct published *published = NULL;
    if (under && !(published = published_new(vfs->config.chunks, under)))
        return -ENOMEM;
    struct staged_base base = published_base(published);
    recovering->file = file_unref(recovering->file);
    recovering->file =
        file_new(vfs->config.staging, &base, under ? under->holes : NULL, under ? under->hole_count : 0);
    return recovering->file ? journal_record_replay(record, file_staged(recovering->file)) : -ENOMEM;
}

/* Where from the content is what lies under it; the length: nowhere. */
static int64_t first_clean(struct staged *staged) {
    struct staged_part part;
    int64_t at = 0;
    while (staged_next_part(staged, at, &part) && part.offset == at)
        at += part.length;
    return at;
}

/* Others may have deleted it: then what was written is all there is. */
static int check_under(struct recovering *recovering, struct journal_record *record) {
    struct staged *staged = file_staged(recovering->file);
    char byte;
    int64_t count = staged_read(staged, first_clean(staged), 1, &byte);
    if (count != -ESTALE)
        return count < 0 ? (int)count : 0;
    recovering->incomplete = true;
    return rebuild(recovering, record, NULL);
}

/* Of one record, or (NULL) of none any more. */
static void note_under(struct vfs *vfs, unsigned place, struct revision *under) {
    struct revision *before;
    lock_acquire(&vfs->lock);
    before = vfs->recovery.under[place];
    vfs->recovery.under[place] = under ? revision_ref(under) : NULL;
    lock_release(&vfs->lock);
    revision_unref(before);
}

static struct revision *under_at(struct vfs *vfs, unsigned place) {
    lock_acquire(&vfs->lock);
    struct revision *under = vfs->recovery.under[place];
    under = under ? revision_ref(under) : NULL;
    lock_release(&vfs->lock);
    return under;
}

void recovery_keep(struct vfs *vfs) {
    for (unsigned i = 0; i < vfs->recovery.count; i++) {
        cleanup_with(revision_unref) struct revision *under = under_at(vfs, i);
        if (under)
            (void)under->store->ops->keep(under->store, &under, 1);
    }
}

static int read_content(struct recovering *recovering, struct journal_record *record) {
    struct store *store = recovering->store;
    struct revision *under = recovering->unstored.under;
    note_under(recovering->vfs, recovering->place, under);
    if (under)
        (void)store->ops->keep(store, &under, 1); /* it may be retired by now */
    int result = rebuild(recovering, record, under);
    return result || !under ? result : check_under(recovering, record);
}

/* ---- where it goes ---- */

static int put(struct recovering *recovering, struct store_put *put) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    put->base = recovering->unstored.base;
    return vfs_put_content(recovering->store, recovering->file, put, &revision);
}

/* Under its name, unless others did something there: -ESTALE. Who finds his own content, put by a try whose answer was
 * lost or that did not live to remove the record, puts it once more. */
static int put_again(struct recovering *recovering, const struct store_lease *lease) {
    const struct unstored *unstored = &recovering->unstored;
    struct store_put again = {.path = unstored->path,
                              .follow = unstored->base != NULL,
                              .attributes = &unstored->attributes,
                              .lease = lease,
                              .unless_replaced = true};
    return put(recovering, &again);
}

/* -EAGAIN: the name is claimed, by a host that is about to make it, or by the mount that died. */
static int put_new(struct recovering *recovering) {
    const struct unstored *unstored = &recovering->unstored;
    struct store *store = recovering->store;
    struct store_lease *lease = NULL;
    struct store_entry entry = {0};
    int result = store->ops->lookup(store, unstored->path, NULL, &entry);
    bool is_file = result == 0 && entry.kind == STORE_FILE;
    store_entry_done(&entry);
    if (result == 0)
        return is_file ? put_again(recovering, NULL) : -EEXIST;
    if (result == -ENOENT)
        result = store->ops->reserve(store, unstored->path, &lease);
    if (result)
        return result == -EEXIST ? -EAGAIN : result;
    result = put_again(recovering, lease);
    store->ops->release(store, lease);
    return result;
}

/* Whether a try that did not live to remove the record has kept it there. */
static bool was_kept(const struct recovering *recovering, const char *path) {
    struct store *store = recovering->store;
    cleanup_with(revision_unref) struct revision *newest = NULL;
    return store->ops->newest(store, path, &newest) == 0 && newest->attributes.has & ATTRIBUTES_FILE &&
           memcmp(newest->attributes.file, recovering->unstored.beside, ATTRIBUTES_FILE_SIZE) == 0;
}

/* -EEXIST: the path is not free. */
static int put_at(struct recovering *recovering, const char *path) {
    const struct unstored *unstored = &recovering->unstored;
    struct store *store = recovering->store;
    struct store_lease *lease = NULL;
    struct attributes attributes = unstored->attributes;
    attributes_set_file(&attributes, unstored->beside);
    attributes.has &= ~ATTRIBUTES_LINKS;
    if (was_kept(recovering, path))
        return 0;
    int result = store->ops->reserve(store, path, &lease);
    if (result)
        return result;
    struct store_put beside = {.path = path, .attributes = &attributes, .lease = lease};
    result = put(recovering, &beside);
    store->ops->release(store, lease);
    return result;
}

static int put_beside(struct recovering *recovering) {
    const struct unstored *unstored = &recovering->unstored;
    int result = -EEXIST;
    for (unsigned number = 0; result == -EEXIST && number < RECOVERED_MOST; number++) {
        cleanup_free char *path = recovery_path(unstored->path, unstored->failed_ms, number);
        result = path ? put_at(recovering, path) : -ENOMEM;
        if (result)
            continue;
        stats_add(STAT_recovered_files, 1);
        if (recovering->incomplete)
            log_error("'%s' could not be stored before its mount ended, and what it was a change of has been deleted: "
                      "what was written is in '%s', with zeros for all else", unstored->path, path);
        else
            log_warning("'%s' was replaced or removed by others before its content could be stored: that is in '%s'",
                        unstored->path, path);
    }
    return result;
}

/* Whether a try that did not live to remove the record, or whose answer was lost, has put it. What one put that had less
 * of it is nobody else's, and takes the place of what it replaced. */
static bool has_arrived(struct recovering *recovering) {
    struct unstored *unstored = &recovering->unstored;
    struct store *store = recovering->store;
    cleanup_with(revision_unref) struct revision *newest = NULL;
    struct mark mark = mark_of(staged_length(file_staged(recovering->file)), &unstored->attributes);
    if (store->ops->newest(store, unstored->path, &newest))
        return false;
    if (mark_is(&mark, &unstored->attributes, newest))
        return true;
    if (marks_have(&unstored->unheard, &unstored->attributes, newest)) {
        revision_unref(unstored->base);
        unstored->base = steal_ptr(&newest);
    }
    return false;
}

static int put_in_place(struct recovering *recovering) {
    const struct unstored *unstored = &recovering->unstored;
    bool arrived = has_arrived(recovering);
    int result = arrived ? 0 : unstored->base ? put_again(recovering, NULL) : put_new(recovering);
    if (result == 0)
        log_info("file '%s', which could not be stored before its mount ended, is stored now", unstored->path);
    return result;
}

/* ---- records ---- */

static int take_facts(struct recovering *recovering, const struct journal_record *record) {
    const struct vfs_config *config = &recovering->vfs->config;
    struct unstored *unstored = &recovering->unstored;
    size_t size;
    const void *facts = journal_record_facts(record, &size);
    int result = unstored_decode(facts, size, unstored);
    if (result)
        return result;
    if (strcmp(config->bucket, "*") != 0 && strcmp(config->bucket, unstored->bucket) != 0)
        return -EBADMSG; /* the directory is that of this bucket alone */
    result = config->server->ops->bucket(config->server, unstored->bucket, &recovering->store);
    if (unstored->base)
        unstored->base->store = recovering->store;
    if (unstored->under)
        unstored->under->store = recovering->store;
    return result;
}

static int store_record(struct recovering *recovering, struct journal_record *record) {
    int result = take_facts(recovering, record);
    if (result == 0)
        result = read_content(recovering, record);
    if (result)
        return result;
    result = recovering->incomplete ? -ESTALE : put_in_place(recovering);
    return result == -ESTALE || result == -EEXIST ? put_beside(recovering) : result;
}

static int set_aside(struct vfs *vfs, uint64_t number, int why) {
    int result = journal_set_aside(vfs->config.journal, number);
    stats_add(STAT_damaged_records, 1);
    log_error("what an earlier mount could not store cannot be read, and is set aside as %016llx.bad in the staging "
              "directory: it %s", (unsigned long long)number,
              why == -EPROTONOSUPPORT ? "was written by another version of gridmount" : "is damaged");
    return result;
}

/* Whether there is nothing left to be done about it. */
static bool recover(struct vfs *vfs, unsigned place, int *ret_result) {
    uint64_t number = vfs->recovery.found[place];
    cleanup_with(journal_record_free) struct journal_record *record = NULL;
    struct recovering recovering = {.vfs = vfs, .place = place};
    int result = journal_read(vfs->config.journal, number, &record);
    if (result == 0)
        result = store_record(&recovering, record);
    if (result == 0 || result == -ENOENT)
        result = journal_remove(vfs->config.journal, number);
    else if (result == -EBADMSG || result == -EPROTONOSUPPORT)
        result = set_aside(vfs, number, result);
    else if (result != -EAGAIN) /* the dead mount's claim to the name runs out within a minute */
        log_error("'%s', which could not be stored before its mount ended, cannot be stored yet: %s",
                  recovering.unstored.path ? recovering.unstored.path : "a file", strerror(-result));
    file_unref(recovering.file);
    unstored_done(&recovering.unstored);
    *ret_result = result;
    return result == 0;
}

static void count_left(int change) {
    stats_add(STAT_unsaved_files, (uint64_t)change);
    stats_add(STAT_left_files, (uint64_t)change);
}

/* With the server away one is tried, not all. */
void recovery_try(struct vfs *vfs) {
    struct recovery *recovery = &vfs->recovery;
    int result = 0;
    bool claimed = false;
    if (!recovery->left || clock_now_ms() < recovery->next_ms)
        return;
    for (unsigned i = 0; i < recovery->count && result != -ETIMEDOUT && !atomic_load(&recovery->stopped); i++) {
        if (recovery->done[i])
            continue;
        bool done = recover(vfs, i, &result);
        claimed |= result == -EAGAIN;
        if (!done)
            continue;
        note_under(vfs, i, NULL);
        recovery->done[i] = true;
        recovery->left--;
        count_left(-1);
    }
    int64_t delay_ms = recovery->delay_ms ? 2 * recovery->delay_ms : DELAY_LEAST_MS;
    int64_t most_ms = claimed ? DELAY_CLAIMED_MS : DELAY_MOST_MS;
    recovery->delay_ms = delay_ms < most_ms ? delay_ms : most_ms;
    recovery->next_ms = clock_now_ms() + recovery->delay_ms;
}

void recovery_stop(struct vfs *vfs) {
    atomic_store(&vfs->recovery.stopped, true);
}

int recovery_init(struct vfs *vfs) {
    struct recovery *recovery = &vfs->recovery;
    if (!vfs->config.journal)
        return 0;
    recovery->found = journal_found(vfs->config.journal, &recovery->count);
    recovery->done = calloc(recovery->count + 1, sizeof *recovery->done);
    recovery->under = calloc(recovery->count + 1, sizeof *recovery->under);
    if (!recovery->done || !recovery->under)
        return -ENOMEM;
    recovery->left = recovery->count;
    count_left((int)recovery->left);
    stats_add(STAT_damaged_records, journal_bad(vfs->config.journal));
    return 0;
}

void recovery_done(struct vfs *vfs) {
    count_left(-(int)vfs->recovery.left);
    for (unsigned i = 0; vfs->recovery.under && i < vfs->recovery.count; i++)
        revision_unref(vfs->recovery.under[i]);
    free(vfs->recovery.under);
    free(vfs->recovery.done);
}
