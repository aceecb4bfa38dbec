// SPDX-License-Identifier: Apache-2.0
/* The staging buffer: content that is written but not yet published.
 *
 * A staged file is an overlay on a base (the revision it was opened with, or nothing): what was written, what was
 * punched out, and a length; everything else is the base's. A copy of another file lies over that file's base. Of what
 * was written it is known whether it is as it was when it was read to be sent ahead of the publication. Written bytes
 * are in memory up to the area's share of the memory budget, beyond it in a sparse file without a name in the staging
 * directory. To make room, the file that was not written to for longest goes to disk first.
 *
 *     clean [staged_write, _truncate, _punch, _allocate, _copy] -> dirty [staged_rebase, once published] -> clean
 *     clean [staged_move] -> clean
 *
 * What it is not: it publishes nothing and knows no names; when to publish, and that nothing is written meanwhile, is
 * the caller's affair (fs/vfs/file.h).
 *
 * Threads: all functions from any thread. No lock is held while the base is read, which may block.
 * Memory: at most the area's share, whatever is written; then ENOSPC is the disk's to say. What is known of a file's
 *         ranges counts as well; where the share is small it may take 16 MiB (half a million), then it is ENOSPC too.
 *         All is taken from the budget by force. A file that was spilled has a descriptor open until it is clean.
 * Errors: 0 or -errno, and then nothing was changed: -ENOSPC (staging directory full), -EFBIG (more than a file there
 *         may have), -ENFILE (no descriptor), -EIO (it cannot be read or written), -ENOMEM, those of the base. A write that fails with -EIO may
 *         have changed bytes that were staged in its range before.
 * Facts (staged_check): ranges are in order, apart and within the length; the base shows only within its own length, and
 *         where that was cut off, no more; a clean file is all base. */
#ifndef CACHE_STAGING_H
#define CACHE_STAGING_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/budget.h"

/* What lies under a staged file. `context` is counted by ref and unref, which never block. */
struct staged_base {
    void *context;  /* NULL: nothing */
    int64_t length; /* bytes */
    /* Fills `into` with [offset, offset + size), inside length. */
    int (*read)(void *context, int64_t offset, size_t size, void *into);
    void (*ref)(void *context);
    void (*unref)(void *context);
};

/* A part of a staged file that holds no data: its bytes are zeros. */
struct staged_hole {
    int64_t offset, length;
};

/* A part of a staged file that is not as its base has it. */
struct staged_part {
    int64_t offset, length;
    enum staged_part_kind {
        STAGED_BYTES, /* staged_read() gives them, without the base */
        STAGED_ZEROS, /* zeros that count as data */
        STAGED_HOLE,
    } kind;
};

struct staging;
struct staged;

/* An area that keeps at most `memory_most` bytes in memory, taken from `budget`, and the rest in `directory`, which
 * must be usable: -errno if it is not. */
int staging_new(struct budget *budget, size_t memory_most, const char *directory, struct staging **ret_staging);
/* Its files are gone by then. Takes NULL, returns NULL. */
struct staging *staging_free(struct staging *staging);
/* Bytes staged, in memory and on disk. */
uint64_t staging_used(struct staging *staging);

/* A clean file over `base`, which it refs. `holes` are those of the base, in any order, copied; what of them is not
 * within it is passed over. NULL without memory. */
struct staged *staged_new(struct staging *staging, const struct staged_base *base, const struct staged_hole *holes,
                          uint32_t hole_count);
/* What is unpublished is lost. Takes NULL, returns NULL. */
struct staged *staged_free(struct staged *staged);
int64_t staged_length(struct staged *staged);
/* How much is staged of it. */
uint64_t staged_bytes(struct staged *staged);
/* Whether anything differs from the base: also a length, also a write of the very same bytes. */
bool staged_dirty(struct staged *staged);
/* offset + size fits an int64_t. Grows the file where it must. */
int staged_write(struct staged *staged, int64_t offset, const void *bytes, size_t size);
/* The number of bytes that are there of [offset, offset + size), filled in; or -errno. */
int64_t staged_read(struct staged *staged, int64_t offset, size_t size, void *into);
/* Reads bytes that go to the database before the file is published, and notes that they do. -EAGAIN: not all of them
 * are staged. */
int staged_read_to_send(struct staged *staged, int64_t offset, size_t size, void *into);
/* Whether nothing of it has changed since staged_read_to_send() gave all of it. */
bool staged_is_sent(struct staged *staged, int64_t offset, size_t size);
int staged_truncate(struct staged *staged, int64_t length);
/* Zeros without data, within the length. What is a hole already is not touched: a hole of the base stays clean. */
int staged_punch(struct staged *staged, int64_t offset, int64_t size);
/* Makes holes in [offset, offset + size) data (zeros), as fallocate does; grows the file unless `keep_length`. A base's
 * hole stays clean, since its bytes stay the same; the file is dirty. */
int staged_allocate(struct staged *staged, int64_t offset, int64_t size, bool keep_length);
/* Copies [offset, offset + size) of `from` to `to_offset`: how many bytes, or -errno when none. They may be one file, and
 * ranges that do not overlap. Less than `size` at the end of `from`, and where much of it has to be moved: programs may
 * be interrupted, and come again. What shows the base of `from` in the same place becomes that base's in `to` as well and
 * is not read, so long as no other base shows in `to`: its base is another one from then on. The file is dirty. */
int64_t staged_copy(struct staged *to, int64_t to_offset, struct staged *from, int64_t offset, int64_t size);
/* The base that lies under it now, with a reference. */
struct staged_base staged_under(struct staged *staged);
/* Whether [offset, offset + size), within the length, is what the base has there. */
bool staged_is_clean(struct staged *staged, int64_t offset, size_t size);
/* The first part behind `offset`, or the rest of the one that `offset` is in; false: there is none. */
bool staged_next_part(struct staged *staged, int64_t offset, struct staged_part *ret_part);
/* A number that is another one after each change. */
uint64_t staged_version(struct staged *staged);
/* Where from `offset` on data begins, or a hole (the end is one): lseek's SEEK_DATA and SEEK_HOLE. -ENXIO. */
int64_t staged_seek(struct staged *staged, int64_t offset, bool data);
/* Bytes that are no hole. */
int64_t staged_allocated(struct staged *staged);
/* The holes of the whole file, to be freed, at most `most` of them, the largest when there are more. */
int staged_holes(struct staged *staged, uint32_t most, struct staged_hole **ret_holes, uint32_t *ret_count);
/* The content was published: it is clean over its new base, of the same length, with the same holes. Frees what was
 * staged. */
void staged_rebase(struct staged *staged, const struct staged_base *base);
/* A clean file goes over to another base, with these holes. -EBUSY: it is dirty. */
int staged_move(struct staged *staged, const struct staged_base *base, const struct staged_hole *holes,
                uint32_t hole_count);
void staged_check(struct staged *staged);

#endif
