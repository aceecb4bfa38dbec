// SPDX-License-Identifier: Apache-2.0
/* Large pieces of memory: whole pages, taken up again after they were freed, and never many kept. */
#include "cache/base/pages.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include "tests/unit/unit.h"

enum { LARGE = 300 << 10 };

static void skip_if_sanitized(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* all pieces are malloc's there */
#endif
}

static void what_is_freed_is_taken_up_again(void **state) {
    (void)state;
    skip_if_sanitized();
    void *first = pages_new(LARGE);
    memset(first, 'x', LARGE);
    pages_free(first);
    size_t idle = pages_idle();
    assert_true(idle >= LARGE);
    void *again = pages_new(LARGE);
    assert_ptr_equal(again, first);
    assert_true(pages_idle() <= idle - LARGE);
    pages_free(again);
}

static void a_smaller_piece_is_cut_from_it_and_a_larger_one_made_of_it(void **state) {
    (void)state;
    skip_if_sanitized();
    pages_free(pages_new(2 * LARGE));
    size_t idle = pages_idle();
    void *small = pages_new(LARGE);
    assert_true(pages_idle() < idle && pages_idle() > 0);
    void *large = pages_new(4 * LARGE);
    assert_int_equal(pages_idle(), 0);
    memset(small, 's', LARGE);
    memset(large, 'l', 4 * LARGE);
    assert_memory_equal((char *)small + LARGE - 1, "s", 1);
    pages_free(small);
    pages_free(large);
}

static void pieces_keep_their_content_through_every_size(void **state) {
    (void)state;
    static const size_t sizes[] = {10,        PAGES_LEAST - 1, PAGES_LEAST, LARGE,      8 << 20,
                                   4096 * 16, PAGES_LEAST,     100,         40 << 20, 5};
    char *piece = pages_resize(NULL, 5);
    memcpy(piece, "hello", 5);
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        piece = pages_resize(piece, sizes[i]);
        assert_non_null(piece);
        assert_memory_equal(piece, "hello", 5);
        piece[sizes[i] - 1] = sizes[i] > 5 ? 'x' : piece[sizes[i] - 1];
    }
    pages_free(piece);
}

static void a_piece_that_gets_little_smaller_stays_as_it_is(void **state) {
    (void)state;
    skip_if_sanitized();
    char *piece = pages_new(2 << 20);
    size_t idle = pages_idle();
    assert_ptr_equal(pages_resize(piece, (2 << 20) - 3 * 4096), piece);
    pages_free(piece);
    assert_true(pages_idle() >= idle + (2 << 20));
    assert_ptr_equal(pages_new(2 << 20), piece);
    piece = pages_resize(piece, 1 << 20);
    idle = pages_idle();
    pages_free(piece);
    assert_true(pages_idle() < idle + (2 << 20)); /* half of it went back */
}

static void what_malloc_gave_can_be_freed_and_made_larger(void **state) {
    (void)state;
    char *piece = malloc(100);
    strcpy(piece, "text");
    piece = pages_resize(piece, LARGE);
    assert_string_equal(piece, "text");
    pages_free(piece);
    pages_free(malloc(LARGE));
    pages_free(aligned_alloc(4096, 8192));
    pages_free(NULL);
}

static void little_is_kept_whatever_is_freed(void **state) {
    (void)state;
    enum { COUNT = 400 };
    void *pieces[COUNT];
    for (unsigned i = 0; i < COUNT; i++)
        pieces[i] = pages_new(PAGES_LEAST + i * 1000);
    for (unsigned i = 0; i < COUNT; i++)
        pages_free(pieces[i]);
    pages_free(pages_new(64 << 20));
    assert_true(pages_idle() <= PAGES_IDLE);
}

static void *churn(void *argument) {
    unsigned seed = (unsigned)(uintptr_t)argument;
    unsigned char *held[8] = {0};
    size_t sizes[8] = {0};
    for (unsigned i = 0; i < 3000; i++) {
        unsigned slot = (unsigned)rand_r(&seed) % 8;
        if (held[slot]) { /* its first and last byte are its own still */
            assert_int_equal(held[slot][0], slot + 1);
            assert_int_equal(held[slot][sizes[slot] - 1], slot + 1);
        }
        sizes[slot] = 1 + (unsigned)rand_r(&seed) % (1 << 20);
        if (rand_r(&seed) % 2) {
            pages_free(held[slot]);
            held[slot] = pages_new(sizes[slot]);
        } else {
            held[slot] = pages_resize(held[slot], sizes[slot]);
        }
        assert_non_null(held[slot]);
        held[slot][0] = held[slot][sizes[slot] - 1] = (unsigned char)(slot + 1);
    }
    for (unsigned slot = 0; slot < 8; slot++)
        pages_free(held[slot]);
    return NULL;
}

static void threads_share_what_is_kept(void **state) {
    (void)state;
    pthread_t threads[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_true(pages_idle() <= PAGES_IDLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_freed_is_taken_up_again),
        cmocka_unit_test(a_smaller_piece_is_cut_from_it_and_a_larger_one_made_of_it),
        cmocka_unit_test(pieces_keep_their_content_through_every_size),
        cmocka_unit_test(a_piece_that_gets_little_smaller_stays_as_it_is),
        cmocka_unit_test(what_malloc_gave_can_be_freed_and_made_larger),
        cmocka_unit_test(little_is_kept_whatever_is_freed),
        cmocka_unit_test(threads_share_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
