// SPDX-License-Identifier: Apache-2.0
/* What is handed over, in whatever order, is judged before anybody has all of it. */
#include "cache/proof.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { MIB = 1 << 20, PIECE = 128 << 10, LENGTH = 3 * MIB + 12345 };

struct bench {
    int64_t length;
    unsigned char *content;
    struct proof *proof;
    atomic_uint again; /* bytes that were read again */
    int failure;       /* of reading again */
};

/* In parts, as chunks would give it. */
static int read_again(void *context, int64_t offset, size_t size, struct reader_view *ret_view) {
    struct bench *bench = context;
    if (bench->failure)
        return bench->failure;
    size_t part = size < 70000 ? size : 70000;
    atomic_fetch_add(&bench->again, (unsigned)part);
    *ret_view = (struct reader_view){.bytes = bench->content + offset, .size = part};
    return 0;
}

static struct bench *bench_new(int64_t length, bool sound) {
    struct bench *bench = calloc(1, sizeof *bench);
    unsigned char digest[EVP_MAX_MD_SIZE];
    char digits[PROOF_DIGITS + 1];
    bench->length = length;
    bench->content = malloc((size_t)length);
    for (int64_t i = 0; i < length; i++)
        bench->content[i] = (unsigned char)(i * 7 + i / 4096);
    assert_true(EVP_Digest(bench->content, (size_t)length, digest, NULL, EVP_sha256(), NULL));
    for (unsigned i = 0; i < PROOF_DIGITS / 2; i++)
        snprintf(digits + 2 * i, 3, "%02X", digest[i]); /* others may write capitals */
    if (!sound)
        bench->content[length / 2] ^= 1;
    struct proof_source source = {.context = bench, .again = read_again};
    bench->proof = proof_new(length, &source, digits, "somebody");
    return bench;
}

static void bench_done(struct bench *bench) {
    proof_free(bench->proof);
    free(bench->content);
    free(bench);
}

/* In two views. */
static enum proof_answer take(struct bench *bench, int64_t offset, int64_t size) {
    size = size < bench->length - offset ? size : bench->length - offset;
    size_t first = (size_t)size / 3;
    struct reader_view views[2] = {{.bytes = bench->content + offset, .size = first},
                                   {.bytes = bench->content + offset + first, .size = (size_t)size - first}};
    return proof_take(bench->proof, offset, views, 2);
}

static void expect(struct bench *bench, int64_t offset, int64_t size, enum proof_answer expected) {
    enum proof_answer answer = take(bench, offset, size);
    if (answer != expected)
        fail_msg("%lld from %lld on: %d, not %d", (long long)size, (long long)offset, (int)answer, (int)expected);
}

/* All but the last piece. */
static int64_t take_most(struct bench *bench, int64_t piece) {
    int64_t at = 0;
    for (; at + piece < bench->length; at += piece)
        expect(bench, at, piece, PROOF_GIVE);
    return at;
}

static void the_last_piece_is_judged(void **state) {
    (void)state;
    static const int64_t pieces[] = {PIECE, 4095, 1000003, LENGTH};
    for (unsigned i = 0; i < 2 * sizeof pieces / sizeof *pieces; i++) {
        bool sound = i % 2;
        struct bench *bench = bench_new(LENGTH, sound);
        int64_t last = take_most(bench, pieces[i / 2]);
        assert_string_equal(proof_found(bench->proof), "");
        expect(bench, last, PIECE * 100, sound ? PROOF_GIVE_SOUND : PROOF_KEEP_WRONG);
        assert_int_equal(strcasecmp(proof_found(bench->proof), proof_recorded(bench->proof)) == 0, sound);
        assert_string_equal(proof_subject(bench->proof), "somebody");
        assert_int_equal(bench->again, 0);
        bench_done(bench);
    }
}

static void what_would_complete_a_wrong_content_stays_withheld(void **state) {
    (void)state;
    struct bench *bench = bench_new(LENGTH, false);
    int64_t last = take_most(bench, PIECE);
    expect(bench, last, PIECE, PROOF_KEEP_WRONG);
    expect(bench, last, 1, PROOF_KEEP); /* said once */
    expect(bench, LENGTH - 1, 1, PROOF_KEEP);
    expect(bench, last - 1, 2, PROOF_KEEP);
    expect(bench, last - PIECE, PIECE, PROOF_GIVE); /* what can be saved */
    assert_true(proof_resume(bench->proof));
    expect(bench, last, 1, PROOF_KEEP);
    bench_done(bench);
}

static void a_piece_may_come_before_its_turn(void **state) {
    (void)state;
    for (unsigned sound = 0; sound < 2; sound++) {
        struct bench *bench = bench_new(4 * PIECE, sound);
        expect(bench, PIECE, PIECE, PROOF_GIVE);
        expect(bench, 3 * PIECE, PIECE, PROOF_GIVE); /* the last one, but not of what is missing */
        expect(bench, 0, PIECE, PROOF_GIVE);
        assert_int_equal(bench->again, PIECE);
        expect(bench, 2 * PIECE, PIECE, sound ? PROOF_GIVE_SOUND : PROOF_KEEP_WRONG);
        assert_int_equal(bench->again, 2 * PIECE);
        expect(bench, 3 * PIECE, PIECE, sound ? PROOF_GIVE : PROOF_KEEP);
        bench_done(bench);
    }
}

static void pieces_may_overlap_and_come_again(void **state) {
    (void)state;
    for (unsigned sound = 0; sound < 2; sound++) {
        struct bench *bench = bench_new(LENGTH, sound);
        int64_t at = 0;
        for (; at + 2 * PIECE < LENGTH; at += PIECE / 2) {
            expect(bench, at, PIECE, PROOF_GIVE);
            expect(bench, at / 2, PIECE / 3, PROOF_GIVE);
            expect(bench, at + PIECE / 2 + 5, PIECE, PROOF_GIVE);
        }
        expect(bench, at - 5, 3 * PIECE, sound ? PROOF_GIVE_SOUND : PROOF_KEEP_WRONG);
        bench_done(bench);
    }
}

static void any_order_within_reach_is_followed(void **state) {
    (void)state;
    struct dice dice = dice_new("any_order_within_reach_is_followed");
    enum { PIECES = 15 };
    for (unsigned round = 0; round < 100; round++) {
        bool sound = round % 2;
        struct bench *bench = bench_new(PIECES * 4096, sound);
        unsigned order[PIECES];
        for (unsigned i = 0; i < PIECES; i++) {
            unsigned at = (unsigned)dice_below(&dice, i + 1);
            order[i] = order[at];
            order[at] = i;
        }
        for (unsigned i = 0; i < PIECES; i++)
            expect(bench, order[i] * 4096, 4096,
                   i < PIECES - 1 ? PROOF_GIVE : sound ? PROOF_GIVE_SOUND : PROOF_KEEP_WRONG);
        bench_done(bench);
    }
}

static void who_reads_here_and_there_is_not_followed(void **state) {
    (void)state;
    struct bench *bench = bench_new(2 * PROOF_REACH, false);
    assert_true(proof_resume(bench->proof));
    expect(bench, PROOF_REACH + 1, PIECE, PROOF_GIVE); /* out of reach */
    for (int64_t at = 0; at < bench->length; at += PIECE) /* the rest, but the kernel has that piece */
        if (at != PROOF_REACH)
            expect(bench, at, PIECE, PROOF_GIVE);
    assert_string_equal(proof_found(bench->proof), "");
    assert_false(proof_resume(bench->proof)); /* it is to be read anew */
    assert_true(proof_resume(bench->proof));
    expect(bench, take_most(bench, PIECE), PIECE, PROOF_KEEP_WRONG);
    bench_done(bench);
}

static void many_gaps_are_too_many(void **state) {
    (void)state;
    struct bench *bench = bench_new(LENGTH, false);
    for (int64_t at = 4096; at < 40 * 8192; at += 8192)
        expect(bench, at, 4096, PROOF_GIVE);
    assert_false(proof_resume(bench->proof));
    expect(bench, take_most(bench, PIECE), PIECE, PROOF_KEEP_WRONG);
    bench_done(bench);
}

static void what_cannot_be_read_again_ends_it_until_it_begins_anew(void **state) {
    (void)state;
    struct bench *bench = bench_new(3 * PIECE, false);
    bench->failure = -EIO;
    expect(bench, PIECE, PIECE, PROOF_GIVE);
    expect(bench, 0, PIECE, PROOF_GIVE);
    expect(bench, 2 * PIECE, PIECE, PROOF_GIVE);
    assert_string_equal(proof_found(bench->proof), "");
    assert_false(proof_resume(bench->proof));
    expect(bench, take_most(bench, PIECE), PIECE, PROOF_KEEP_WRONG);
    bench_done(bench);
}

static void nothing_and_what_is_behind_the_end_count_for_nothing(void **state) {
    (void)state;
    struct bench *bench = bench_new(PIECE, true);
    assert_int_equal(proof_take(bench->proof, PIECE, NULL, 0), PROOF_GIVE);
    assert_int_equal(proof_take(bench->proof, 0, NULL, 0), PROOF_GIVE);
    expect(bench, 0, PIECE, PROOF_GIVE_SOUND);
    expect(bench, 0, PIECE, PROOF_GIVE);
    assert_int_equal(proof_take(bench->proof, PIECE, NULL, 0), PROOF_GIVE);
    bench_done(bench);
}

/* ---- several threads, as a kernel that reads ahead has them serve one reader, or several ---- */

enum { READERS = 3, SERVANTS = 4 };

struct stream {
    struct bench *bench;
    atomic_int next; /* piece */
    atomic_int kept, given, judged;
};

static void *serve(void *argument) {
    struct stream *stream = argument;
    for (int64_t at; (at = (int64_t)atomic_fetch_add(&stream->next, 1) * PIECE) < stream->bench->length;) {
        enum proof_answer answer = take(stream->bench, at, PIECE);
        atomic_fetch_add(answer >= PROOF_KEEP ? &stream->kept : &stream->given, 1);
        atomic_fetch_add(&stream->judged, answer == PROOF_GIVE_SOUND || answer == PROOF_KEEP_WRONG);
    }
    return NULL;
}

static void no_stream_ever_has_all_of_a_wrong_content(void **state) {
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        bool sound = round % 2;
        struct bench *bench = bench_new(LENGTH, sound);
        struct stream streams[READERS] = {{.bench = bench}, {.bench = bench}, {.bench = bench}};
        pthread_t threads[READERS * SERVANTS];
        int judged = 0;
        for (unsigned i = 0; i < READERS * SERVANTS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, serve, &streams[i % READERS]), 0);
        for (unsigned i = 0; i < READERS * SERVANTS; i++)
            pthread_join(threads[i], NULL);
        for (unsigned i = 0; i < READERS; i++) {
            judged += streams[i].judged;
            assert_true(sound ? streams[i].kept == 0 : streams[i].kept > 0);
        }
        assert_int_equal(judged, 1);
        bench_done(bench);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_piece_is_judged),
        cmocka_unit_test(what_would_complete_a_wrong_content_stays_withheld),
        cmocka_unit_test(a_piece_may_come_before_its_turn),
        cmocka_unit_test(pieces_may_overlap_and_come_again),
        cmocka_unit_test(any_order_within_reach_is_followed),
        cmocka_unit_test(who_reads_here_and_there_is_not_followed),
        cmocka_unit_test(many_gaps_are_too_many),
        cmocka_unit_test(what_cannot_be_read_again_ends_it_until_it_begins_anew),
        cmocka_unit_test(nothing_and_what_is_behind_the_end_count_for_nothing),
        cmocka_unit_test(no_stream_ever_has_all_of_a_wrong_content),
    };
    return cmocka_run_group_tests_name("proof", tests, NULL, NULL);
}
