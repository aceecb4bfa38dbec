// SPDX-License-Identifier: Apache-2.0
/* One record of the journal, in an open file: what of a staged file its base does not have, and facts about it.
 *
 * What it is not: it does not know the base, nor what the facts say (fs/vfs/unstored.h); where records are kept is
 * journal.h's affair.
 *
 * Threads: one at a time for each record; all may block as a disk does. The staged file must not change meanwhile.
 * Memory: the facts, and a buffer while it works.
 * Errors: those of journal_codec.h, of the disk, -ENOMEM. */
#ifndef CACHE_JOURNAL_RECORD_H
#define CACHE_JOURNAL_RECORD_H

#include "cache/base/cleanup.h"
#include "cache/staging.h"

struct journal_record;

/* Writes a record into an empty file, and waits until the disk has it. */
int journal_record_write(int fd, const void *facts, size_t facts_size, struct staged *staged);
/* Reads and checks one, all of it. Takes the descriptor over on success. */
int journal_record_open(int fd, struct journal_record **ret_record);
/* Takes NULL, returns NULL. */
struct journal_record *journal_record_free(struct journal_record *record);
/* Lent. */
const void *journal_record_facts(const struct journal_record *record, size_t *ret_size);
/* Makes of a file that is clean over the base what the recorded one was. After a failure it is something in between.
 * What is a hole and what is zeros it only gets right outside of the base's holes. */
int journal_record_replay(struct journal_record *record, struct staged *into);

DEFINE_CLEANUP(struct journal_record, journal_record_free)

#endif
