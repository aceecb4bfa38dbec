// SPDX-License-Identifier: Apache-2.0
/* The journal: what is staged and could not be stored, on disk, so that it outlives the process. One file per record.
 *
 *     <number>.new [fsync, rename, fsync of the directory] -> <number>.record [unlink] -> nothing
 *                                                                             [journal_set_aside] -> <number>.bad
 *
 * So a record is there whole, as it was or as it is now, whenever the process or the machine ends. What is left of a
 * record that was being written is deleted by the next who opens the journal.
 *
 * What it is not: it knows neither what the facts of a record say nor when it is of use no more.
 *
 * Threads: all functions from any thread, but each record by one at a time. They block as a disk does.
 * Memory: the numbers of the records it found.
 * Errors: 0 or -errno of the disk, or as journal_codec.h has it. A record that could not be replaced is as it was. */
#ifndef CACHE_JOURNAL_H
#define CACHE_JOURNAL_H

#include "cache/journal_record.h"

struct journal;

/* That of a directory which nobody else writes to. */
int journal_open(const char *directory, struct journal **ret_journal);
/* Takes NULL, returns NULL. */
struct journal *journal_free(struct journal *journal);
/* The numbers of the records that were there when it was opened, the oldest first; lent. */
const uint64_t *journal_found(const struct journal *journal, unsigned *ret_count);
/* How many were set aside, before and since. */
unsigned journal_bad(const struct journal *journal);
/* A number that no record had. */
uint64_t journal_next(struct journal *journal);
/* Writes a record, in place of the one of this number if there is one. */
int journal_write(struct journal *journal, uint64_t number, const void *facts, size_t facts_size,
                  struct staged *staged);
int journal_remove(struct journal *journal, uint64_t number);
/* Reads and checks a record. -ENOENT: there is none. */
int journal_read(struct journal *journal, uint64_t number, struct journal_record **ret_record);
/* It is of no use, and kept for who may look at it. */
int journal_set_aside(struct journal *journal, uint64_t number);

#endif
