// SPDX-License-Identifier: Apache-2.0
/* What could not be stored goes into the journal, so that the next mount finds it if this one ends before it is. */
#include <errno.h>
#include <string.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "cache/journal.h"
#include "fs/vfs/unstored.h"
#include "fs/vfs/vfs_private.h"

/* FNV-1a, for telling whether a record says all this already. */
static uint64_t digest_of(const void *bytes, size_t size) {
    uint64_t digest = UINT64_C(14695981039346656037);
    for (const unsigned char *byte = bytes, *end = byte + size; byte < end; byte++)
        digest = (digest ^ *byte) * UINT64_C(1099511628211);
    return digest;
}

/* The same for all records of a file. */
static void set_out(struct file_record *record) {
    enum { MILLION = 1000000 };
    struct attributes beside = {0};
    if (record->failed_ms)
        return;
    attributes_new_file(&beside);
    memcpy(record->beside, beside.file, sizeof record->beside);
    record->failed_ms = vfs_now_ns() / MILLION;
}

static int encode(struct vfs *vfs, struct inode *inode, struct file *file, const struct file_record *record,
                  void **ret_facts, size_t *ret_size) {
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    cleanup_with(revision_unref) struct revision *base = inode_revision(vfs->inodes, inode);
    cleanup_with(revision_unref) struct revision *under = published_under(file_staged(file));
    struct unstored unstored = {.bucket = inode_store(inode)->bucket,
                                .path = path,
                                .failed_ms = record->failed_ms,
                                .attributes = vfs_attributes_to_put(vfs, inode),
                                .base = base,
                                .under = under};
    struct mark own = mark_of(staged_length(file_staged(file)), &unstored.attributes);
    unstored.unheard = record->unheard;
    marks_remove(&unstored.unheard, &own); /* the record says as much by itself */
    memcpy(unstored.beside, record->beside, sizeof unstored.beside);
    return path ? unstored_encode(&unstored, ret_facts, ret_size) : -ENOMEM;
}

/* In place of the record of before, if that says something else. */
static int write_record(struct vfs *vfs, struct inode *inode, struct file *file, struct file_record *record) {
    struct staged *staged = file_staged(file);
    cleanup_free void *facts = NULL;
    size_t size = 0;
    struct file_record now;
    if (!vfs_is_unstored(vfs, inode, file)) /* by now */
        return 0;
    set_out(record);
    int result = encode(vfs, inode, file, record, &facts, &size);
    if (result)
        return result;
    now = *record;
    now.version = staged_version(staged);
    now.digest = digest_of(facts, size);
    if (record->number && now.version == record->version && now.digest == record->digest)
        return 0;
    now.number = record->number ? record->number : journal_next(vfs->config.journal);
    result = journal_write(vfs->config.journal, now.number, facts, size, staged);
    if (result == 0)
        *record = now;
    return result;
}

bool journaling_keep(struct vfs *vfs, struct inode *inode, struct file *file) {
    if (!vfs->config.journal)
        return false;
    int result = write_record(vfs, inode, file, file_lock_record(file));
    file_unlock_record(file);
    if (result == 0)
        return true;
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    stats_add(STAT_failed_records, 1);
    log_error("file '%s' is not safe from a crash until it is stored: the staging directory does not take it: %s",
              path ? path : "?", strerror(-result));
    return false;
}

static bool is_of(struct file *file, bool *ret_current) {
    const struct file_record *record = file_lock_record(file);
    bool is = record->number;
    *ret_current = is && record->version == staged_version(file_staged(file));
    file_unlock_record(file);
    return is;
}

bool journaling_is_current(struct file *file) {
    bool current;
    return is_of(file, &current) && current;
}

bool journaling_is_older(struct file *file) {
    bool current;
    return is_of(file, &current) && !current;
}

void journaling_drop(struct vfs *vfs, struct file *file) {
    struct file_record *record = file_lock_record(file);
    int result = record->number ? journal_remove(vfs->config.journal, record->number) : 0;
    *record = (struct file_record){0};
    file_unlock_record(file);
    if (result) /* then the next mount finds it, and that it is there or was replaced */
        log_warning("what is stored by now stays in the staging directory: %s", strerror(-result));
}

/* Not of what is being stored just now: when that fails, it is kept as it is then. */
void journaling_refresh(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (!file || !file_try_publishing(file))
        return;
    if (journaling_is_current(file))
        (void)journaling_keep(vfs, inode, file);
    file_end_publishing(file);
}

void journaling_refresh_all(struct vfs *vfs) {
    struct inode **inodes;
    uint32_t count;
    if (!vfs->config.journal || inode_written_files(vfs->inodes, &inodes, &count))
        return;
    for (uint32_t i = 0; i < count; i++) {
        journaling_refresh(vfs, inodes[i]);
        inode_release(vfs->inodes, inodes[i]);
    }
    free(inodes);
}

/* What is being stored does not change meanwhile either, and who stores it may wait for longer than there is time. */
static bool keep_if_unstored(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (!file || !vfs_is_unstored(vfs, inode, file) || inode_is_removed(vfs->inodes, inode))
        return true;
    bool shut = file_try_publishing(file);
    bool kept = journaling_keep(vfs, inode, file);
    if (shut)
        file_end_publishing(file);
    return kept;
}

bool vfs_keep_unstored(struct vfs *vfs) {
    struct inode **inodes;
    uint32_t count;
    bool all = true;
    if (inode_written_files(vfs->inodes, &inodes, &count))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        all &= keep_if_unstored(vfs, inodes[i]);
        inode_release(vfs->inodes, inodes[i]);
    }
    free(inodes);
    return all;
}
