// SPDX-License-Identifier: Apache-2.0
/* Retired revisions: what a change replaced or removed leaves the file collections at once, its chunks later.
 *
 * A revision that GridFS gave its _id (an ObjectId, made once) goes through <bucket>.gridmount.trash, so that handles
 * that are open on any host read on:
 *
 *     {_id, document: the whole files document, retired, due, kept: dates of the server's clock}
 *
 * Who retires it sets when it is due, by the grace of its own mount. Who has it open moves that on, by its own, every
 * STORE_KEEP_SECONDS (keep.c), and `kept`, until when it is known to be in use. No mount knows how long a grace others
 * want; so none is shorter than what they need to say that they have it open, and nobody ever moves a date back. Its
 * chunks are not listed there: as its _id never comes again, they are those that carry it as files_id while no files
 * document has that _id. A revision whose _id an application chose has no grace, since its owner may put again.
 *
 * Threads: any. Errors: those of store.h; a step that failed can be done again. */
#ifndef FS_STORE_MONGO_RETIRE_H
#define FS_STORE_MONGO_RETIRE_H

#include "fs/store/mongo/bucket.h"

enum { RETIRE_LEAST_MS = 3 * STORE_KEEP_SECONDS * 1000 };

/* When what is retired, or said to be open, now is due. */
int64_t retire_due_ms(const struct bucket *bucket, int64_t now_ms);
/* Takes a whole files document out of files: into the trash, or away with its chunks. 0 also when it had gone, or was
 * renamed meanwhile: then it stays (and the janitor drops its record), and *ret_went, unless that is NULL, is false. */
int retire_document(struct bucket *bucket, const bson_t *files_document, bool *ret_went);
/* The files document that a record of the trash has, lent by the record; false: there is none in it. */
bool retire_unwrap(const bson_t *record, bson_t *ret_document);
/* The same as retire_document() of one that was seen as the only revision of its name, with no further names, by one command, which counts
 * what matches `others` behind it. 1: it went, and nothing does. 0: there is more to do, also of this; *ret_gone: it is,
 * or may be, gone. */
int retire_only(struct bucket *bucket, const bson_t *files_document, const bson_t *others, bool *ret_gone);
/* Deletes chunks [first, until) of the file {_id: value}, in pieces of a few seconds. */
int retire_chunk_range(struct bucket *bucket, const bson_t *id, int64_t first, int64_t until);
/* Deletes all its chunks, `count` or an unknown number (0), likewise. */
int retire_chunks(struct bucket *bucket, const bson_t *id, int64_t count);

#endif
