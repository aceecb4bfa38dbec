// SPDX-License-Identifier: Apache-2.0
/* Whether a content, as it is handed over, has the SHA-256 that is recorded of it.
 *
 *     followed --- [proof_take, of the last bytes missing] ---> sound, or wrong
 *       |  ^
 *       |  '--- [proof_resume] ---.
 *       '- [bytes out of reach] -> strayed: goes on, but does not get to the end by itself
 *
 * Pieces are taken before they are handed over. What begins at the first byte and goes on in order is followed. Threads bring
 * pieces nearly in order, and several readers of one file bring parts of it each: a piece that comes before its turn
 * is noted, and read again from the cache when it has come. The piece that completes the content is judged before it is
 * handed over: of a wrong content it is kept back, and all that lies behind its start. So nobody ever gets all of it.
 * What it is not: it keeps no content, so that it needs no room; and what it was not given it does not know of.
 *
 * Threads: any. proof_take() waits while another thread digests bytes of its piece or those before them; and, if the
 * piece is the last, while one digests at all.
 * Facts: pieces that are noted lie within PROOF_REACH behind what is digested, in order and apart. */
#ifndef CACHE_PROOF_H
#define CACHE_PROOF_H

#include "cache/reader.h"

enum {
    PROOF_REACH = 8 << 20,  /* bytes: how far ahead of its turn a piece may come */
    PROOF_DIGITS = 64,      /* of a SHA-256 */
};

/* Where a piece is read again: the part of [offset, offset + size) that it begins with. 0 and a view, or -errno. */
struct proof_source {
    void *context; /* outlives the proof */
    int (*again)(void *context, int64_t offset, size_t size, struct reader_view *ret_view);
};

enum proof_answer {
    PROOF_GIVE,
    PROOF_GIVE_SOUND, /* the same; it was the last, and all is as recorded: said once */
    PROOF_KEEP,       /* it is not to be handed over */
    PROOF_KEEP_WRONG, /* the same; all is known now, and is not as recorded: said once */
};

struct proof;

/* `length` > 0. `recorded`: what should be the digits. `subject`: of whom, for people. Both are copied. NULL without memory. */
struct proof *proof_new(int64_t length, const struct proof_source *source, const char *recorded, const char *subject);
/* Takes NULL, returns NULL. */
struct proof *proof_free(struct proof *proof);
/* The content from `offset` on is about to be handed over: these views, in order and without gaps. */
enum proof_answer proof_take(struct proof *proof, int64_t offset, const struct reader_view *views, unsigned count);
/* Whether all that was taken so far is followed, or judged. If not, it begins anew: what was handed over is as nothing. */
bool proof_resume(struct proof *proof);
/* Lent. What was found: "" until it is judged. */
const char *proof_recorded(const struct proof *proof);
const char *proof_found(const struct proof *proof);
const char *proof_subject(const struct proof *proof);

#endif
