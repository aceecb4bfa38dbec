// SPDX-License-Identifier: Apache-2.0
/* Memory that was freed in pieces goes back to the system. */
#include "fs/trim.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/unit.h"

enum { PIECES = 512, PIECE = 200 << 10, KEPT_EACH = 16 };

static size_t resident(void) {
    unsigned long size, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void freed_pieces_between_kept_ones_go_back(void **state) {
    (void)state;
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its allocator has a way of its own */
#endif
#ifdef __SANITIZE_THREAD__
    skip();
#endif
    static void *pieces[PIECES];
    struct trim trim = {0};
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* as the allocator sets it by itself once large pieces were freed */
    size_t before = resident(), kept = 0;
    for (unsigned i = 0; i < PIECES; i++) {
        pieces[i] = malloc(PIECE);
        assert_non_null(pieces[i]);
        memset(pieces[i], 1, PIECE);
    }
    for (unsigned i = 0; i < PIECES; i++) {
        if (i % KEPT_EACH == 0)
            kept += PIECE;
        else
            free(pieces[i]);
    }
    assert_true(resident() > before + PIECES / 2 * (size_t)PIECE);
    trim_tick(&trim, before + kept);
    size_t after = resident();
    for (unsigned i = 0; i < PIECES; i += KEPT_EACH)
        free(pieces[i]);
    assert_true(after < before + kept + (8 << 20));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(freed_pieces_between_kept_ones_go_back)};
    return cmocka_run_group_tests_name("trim", tests, NULL, NULL);
}
