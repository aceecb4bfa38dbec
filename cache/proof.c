// SPDX-License-Identifier: Apache-2.0
#include "cache/proof.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#include "cache/base/check.h"
#include "cache/base/lock.h"

enum { PIECES = 16 };

/* [start, end) of the content. */
struct piece {
    int64_t start, end;
};

struct proof {
    int64_t length;
    struct proof_source source;
    char *recorded, *subject;
    struct lock lock; /* guards what follows */
    struct condition turn;
    enum { FOLLOWED, STRAYED, SOUND, WRONG } state;
    bool taken;           /* a thread digests: the digest is its own, and `digested` changes by it only */
    EVP_MD_CTX *digest;
    int64_t digested;     /* so many bytes from the start */
    int64_t from, in_hand; /* while taken: from where to where it is being digested */
    int64_t withheld;     /* of a wrong content: from here on */
    struct piece pieces[PIECES]; /* taken before their turn */
    unsigned count;
    char found[PROOF_DIGITS + 1];
};

static bool begin(struct proof *proof) {
    proof->state = FOLLOWED;
    proof->digested = 0;
    proof->count = 0;
    return EVP_DigestInit_ex(proof->digest, EVP_sha256(), NULL);
}

struct proof *proof_new(int64_t length, const struct proof_source *source, const char *recorded, const char *subject) {
    CHECK(length > 0);
    struct proof *proof = calloc(1, sizeof *proof);
    if (!proof)
        return NULL;
    proof->length = length;
    proof->source = *source;
    lock_init(&proof->lock, LOCK_PROOF);
    condition_init(&proof->turn);
    proof->recorded = strdup(recorded);
    proof->subject = strdup(subject);
    proof->digest = EVP_MD_CTX_new();
    return proof->recorded && proof->subject && proof->digest && begin(proof) ? proof : proof_free(proof);
}

struct proof *proof_free(struct proof *proof) {
    if (proof) {
        CHECK(!proof->taken);
        EVP_MD_CTX_free(proof->digest);
        free(proof->subject);
        free(proof->recorded);
        condition_done(&proof->turn);
        lock_done(&proof->lock);
        free(proof);
    }
    return NULL;
}

/* ---- pieces before their turn ---- */

static void note(struct proof *proof, int64_t start, int64_t end) {
    unsigned first = 0, behind;
    while (first < proof->count && proof->pieces[first].end < start)
        first++;
    for (behind = first; behind < proof->count && proof->pieces[behind].start <= end; behind++) {
        start = proof->pieces[behind].start < start ? proof->pieces[behind].start : start;
        end = proof->pieces[behind].end > end ? proof->pieces[behind].end : end;
    }
    if (start > proof->digested + PROOF_REACH || (behind == first && proof->count == PIECES)) {
        proof->state = STRAYED;
        return;
    }
    memmove(&proof->pieces[first + 1], &proof->pieces[behind],
            (proof->count - behind) * sizeof *proof->pieces);
    proof->count = proof->count - (behind - first) + 1;
    proof->pieces[first] = (struct piece){start, end};
}

/* All before `at` is digested. Whether the next piece is there already: up to *ret_end. */
static bool go_on(struct proof *proof, int64_t at, int64_t *ret_end) {
    unsigned reached = 0;
    int64_t end = at;
    lock_acquire(&proof->lock);
    for (; reached < proof->count && proof->pieces[reached].start <= at; reached++)
        end = proof->pieces[reached].end > end ? proof->pieces[reached].end : end;
    proof->count -= reached;
    memmove(proof->pieces, proof->pieces + reached, proof->count * sizeof *proof->pieces);
    proof->digested = at;
    proof->in_hand = end;
    lock_release(&proof->lock);
    *ret_end = end;
    return end > at;
}

/* ---- digesting, by the thread that has taken it ---- */

/* What is digested already is skipped. */
static bool add_views(struct proof *proof, int64_t offset, const struct reader_view *views, unsigned count) {
    int64_t skip = proof->digested - offset;
    for (unsigned i = 0; i < count; i++) {
        size_t left_out = skip < (int64_t)views[i].size ? (size_t)skip : views[i].size;
        skip -= (int64_t)left_out;
        if (!EVP_DigestUpdate(proof->digest, views[i].bytes + left_out, views[i].size - left_out))
            return false;
    }
    return true;
}

static bool add_again(struct proof *proof, int64_t at, int64_t end) {
    while (at < end) {
        struct reader_view view;
        if (proof->source.again(proof->source.context, at, (size_t)(end - at), &view))
            return false;
        bool added = EVP_DigestUpdate(proof->digest, view.bytes, view.size);
        at += (int64_t)view.size;
        reader_release(&view, 1);
        if (!added)
            return false;
    }
    return true;
}

static bool is_as_recorded(struct proof *proof, char ret_found[PROOF_DIGITS + 1]) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    (void)EVP_DigestFinal_ex(proof->digest, digest, NULL);
    for (unsigned i = 0; i < PROOF_DIGITS / 2; i++)
        snprintf(ret_found + 2 * i, 3, "%02x", digest[i]);
    return strcasecmp(ret_found, proof->recorded) == 0;
}

/* It digested up to `at`, with a piece of its own that begins at `offset`. */
static enum proof_answer judge(struct proof *proof, int64_t offset, int64_t at, bool digested) {
    char found[PROOF_DIGITS + 1] = "";
    bool ended = digested && at == proof->length;
    bool sound = ended && is_as_recorded(proof, found);
    lock_acquire(&proof->lock);
    if (ended) {
        proof->state = sound ? SOUND : WRONG;
        proof->withheld = offset;
        memcpy(proof->found, found, sizeof found);
    } else if (!digested) {
        proof->state = STRAYED;
        proof->digested = proof->length; /* nothing can be added any more */
    }
    proof->taken = false;
    condition_broadcast(&proof->turn);
    lock_release(&proof->lock);
    return !ended ? PROOF_GIVE : sound ? PROOF_GIVE_SOUND : PROOF_KEEP_WRONG;
}

static enum proof_answer digest(struct proof *proof, int64_t offset, int64_t end, const struct reader_view *views,
                                unsigned count) {
    bool digested = add_views(proof, offset, views, count);
    int64_t at = end, next;
    while (digested && go_on(proof, at, &next)) {
        digested = add_again(proof, at, next);
        at = next;
    }
    return judge(proof, offset, at, digested);
}

enum proof_answer proof_take(struct proof *proof, int64_t offset, const struct reader_view *views, unsigned count) {
    int64_t end = offset;
    for (unsigned i = 0; i < count; i++)
        end += (int64_t)views[i].size;
    if (end == offset)
        return PROOF_GIVE;
    lock_acquire(&proof->lock);
    while (proof->taken && end > proof->from && (offset <= proof->in_hand || end == proof->length))
        condition_wait(&proof->turn, &proof->lock);
    bool judged = proof->state == SOUND || proof->state == WRONG;
    bool keep = proof->state == WRONG && end > proof->withheld;
    bool adds = !judged && end > proof->digested;
    bool mine = adds && !proof->taken && offset <= proof->digested;
    if (mine) {
        proof->taken = true;
        proof->from = proof->digested;
        proof->in_hand = end;
    } else if (adds) {
        note(proof, offset, end);
    }
    lock_release(&proof->lock);
    return mine ? digest(proof, offset, end, views, count) : keep ? PROOF_KEEP : PROOF_GIVE;
}

bool proof_resume(struct proof *proof) {
    lock_acquire(&proof->lock);
    while (proof->taken)
        condition_wait(&proof->turn, &proof->lock);
    bool strayed = proof->state == STRAYED;
    if (strayed && !begin(proof))
        proof->state = STRAYED;
    lock_release(&proof->lock);
    return !strayed;
}

const char *proof_recorded(const struct proof *proof) {
    return proof->recorded;
}

const char *proof_found(const struct proof *proof) {
    return proof->found;
}

const char *proof_subject(const struct proof *proof) {
    return proof->subject;
}
