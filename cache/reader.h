// SPDX-License-Identifier: Apache-2.0
/* Reading one revision: byte ranges become chunks of the cache, and what is read in sequence is fetched ahead.
 *
 * Threads: reader_read() from any number of threads at once. It blocks as chunks_get() does.
 * Memory: a reader belongs to its creator and keeps a reference to the file's handle; views own their references.
 * Errors: those of the chunk cache for the first byte that could not be read; what comes before it in the range is not
 *         returned either, so a damaged chunk is an error and never a short read.
 * Facts: a view never reaches beyond the end of the file, and the views of one read are in order and without gaps. */
#ifndef CACHE_READER_H
#define CACHE_READER_H

#include "cache/chunks.h"

struct reader;

/* A part of a read: bytes inside a blob. */
struct reader_view {
    struct blob *blob;
    const unsigned char *bytes;
    size_t size;
    size_t hit; /* of these bytes, how many memory had */
};

enum { READER_VIEWS = 16 };

/* `length` >= 0 and file->chunk_size > 0. NULL without memory. */
struct reader *reader_new(struct chunks *chunks, const struct chunk_file *file, int64_t length);
/* Takes NULL, returns NULL. */
struct reader *reader_free(struct reader *reader);
/* The bytes [offset, offset + size) as far as the file has them. *ret_count views, READER_VIEWS at the most. */
int reader_read(struct reader *reader, int64_t offset, size_t size, struct reader_view *ret_views,
                unsigned *ret_count);
/* The part of [offset, offset + size), inside the file, that it begins with: for who looks at what was read already. It counts
 * as no read, and nothing is read ahead. */
int reader_again(struct reader *reader, int64_t offset, size_t size, struct reader_view *ret_view);
/* Has these bytes in the cache and below it, for whoever reads them later: they are not given, and nothing is read ahead.
 * `stays`: in memory too, as what was used last; else there it is the first to go. */
int reader_fetch(struct reader *reader, int64_t offset, size_t size, bool stays);
/* The whole content, of a file that is one chunk: it need not be fetched. Takes a reference of its own. */
void reader_provide(struct reader *reader, struct blob *content);
/* A descriptor of the whole content, to be closed by the caller, or -errno: see chunk_source. */
int reader_whole(struct reader *reader);
void reader_release(struct reader_view *views, unsigned count);

#endif
