// SPDX-License-Identifier: Apache-2.0
/* The written side of a regular file: its staged content, and the gate between writers and a publication.
 *
 *     writers [file_enter .. file_leave] and a publication [file_begin_publishing .. file_end_publishing] exclude each
 *     other; writers do not exclude writers. So what is published is what was written at one moment.
 *
 * What it is not: it neither publishes nor knows its inode (fs/vfs/publish.c does).
 *
 * Threads: all functions from any thread. file_enter() blocks while a publication goes on.
 * Memory: references; the last file_unref() drops what was not published. */
#ifndef FS_VFS_FILE_H
#define FS_VFS_FILE_H

#include "cache/staging.h"
#include "fs/store/store.h"
#include "fs/vfs/ahead.h"
#include "fs/vfs/marks.h"

struct file;

/* What of it is in the journal. */
struct file_record {
    uint64_t number;  /* 0: nothing */
    uint64_t version; /* of the staged content in it */
    uint64_t digest;  /* of the facts */
    struct marks unheard; /* tries to store it that may have arrived: their answers were lost */
    int64_t failed_ms; /* when it first could not be stored, since 1970; 0: it never was tried */
    unsigned char beside[ATTRIBUTES_FILE_SIZE]; /* see unstored.h */
};

/* Over `base`; `holes` are the base's. NULL without memory. */
struct file *file_new(struct staging *staging, const struct staged_base *base, const struct hole *holes,
                      uint32_t hole_count);
struct file *file_ref(struct file *file);
/* Takes NULL, returns NULL. */
struct file *file_unref(struct file *file);
struct staged *file_staged(struct file *file);
struct ahead *file_ahead(struct file *file);
/* To be given back with file_unlock_record(). Meanwhile nobody writes a record of the file, or has one that is written
 * rest on another base. The disk is waited for, the store is not. */
struct file_record *file_lock_record(struct file *file);
void file_unlock_record(struct file *file);
void file_enter(struct file *file);
void file_leave(struct file *file);
void file_begin_publishing(struct file *file);
/* The same where nobody is to be waited for. */
bool file_try_publishing(struct file *file);
void file_end_publishing(struct file *file);
/* The claim under which the name was created, given to whoever asks first; NULL. */
void file_set_lease(struct file *file, struct store_lease *lease);
struct store_lease *file_steal_lease(struct file *file);

DEFINE_CLEANUP(struct file, file_unref)

#endif
