// SPDX-License-Identifier: Apache-2.0
/* A disk tier over a pattern, in a folder of its own, for the tests of it.
 *
 * The file system has as much free as `free_bytes` says. Of two files, "one" has 20 chunks and a short last one, "other"
 * a single one. */
#ifndef TESTS_UNIT_DISK_BENCH_H
#define TESTS_UNIT_DISK_BENCH_H

#include "cache/disk.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "cache/disk_file.h"
#include "tests/fake/pattern.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/unit.h"

enum { CHUNK = 5000, HEAD = 16, CHUNKS = 21, LAST = 700, REST_MS = 60000 };

static atomic_llong free_bytes;

int statvfs(const char *path, struct statvfs *room);

int statvfs(const char *path, struct statvfs *room) {
    struct stat status;
    if (stat(path, &status))
        return -1;
    *room = (struct statvfs){.f_frsize = 1, .f_bavail = (fsblkcnt_t)atomic_load(&free_bytes)};
    return 0;
}

struct bench {
    char base[64], folder[80];
    struct pattern pattern;
    struct budget budget;
    struct disk_config config;
    struct disk *disk;
    struct chunk_source source;
    struct pattern_file *one, *other;
};

static void describe(void *handle, struct disk_content *ret_content) {
    const struct pattern_file *file = handle;
    memset(ret_content->revision, file->salt, sizeof ret_content->revision);
    ret_content->length = file->length;
    ret_content->chunk_size = file->chunk_size;
}

static struct pattern_file *file_new(int64_t length, unsigned char salt) {
    struct pattern_file *file = pattern_file_new(length, CHUNK, salt);
    atomic_store(&file->references, 1);
    return file;
}

static void start(struct bench *bench) {
    char *error = NULL;
    if (disk_new(&bench->config, &bench->disk, &error))
        fail_msg("%s", error);
    bench->source = disk_source(bench->disk);
}

/* What is queued is written then. */
static void put_away(struct bench *bench) {
    bench->disk = disk_free(bench->disk);
}

static void restart(struct bench *bench) {
    put_away(bench);
    start(bench);
}

static struct bench *bench_new_of(int64_t most) {
    struct bench *bench = calloc(1, sizeof *bench);
    memset(&fake_disk, 0, sizeof fake_disk);
    atomic_store(&free_bytes, INT64_C(1) << 40);
    for (unsigned i = 0; i < STATS; i++)
        atomic_store(&stats[i], 0);
    strcpy(bench->base, "/tmp/gridmount-unit-XXXXXX");
    assert_non_null(mkdtemp(bench->base));
    snprintf(bench->folder, sizeof bench->folder, "%s/a/chunks", bench->base);
    pattern_init(&bench->pattern);
    budget_init(&bench->budget, 4 << 20);
    bench->config = (struct disk_config){.folder = bench->folder,
                                         .realm = "server/database",
                                         .room = {.most = most, .least_free = 1 << 20},
                                         .rest_ms = REST_MS,
                                         .below = bench->pattern.source,
                                         .describe = describe};
    bench->one = file_new((CHUNKS - 1) * CHUNK + LAST, 1);
    bench->other = file_new(100, 2);
    start(bench);
    return bench;
}

static struct bench *bench_new(void) {
    return bench_new_of(64 << 20);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static void remove_all(const char *path) {
    assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static void bench_done(struct bench *bench) {
    put_away(bench);
    assert_int_equal(budget_used(&bench->budget), 0);
    pattern_done(&bench->pattern);
    remove_all(bench->base);
    free(bench->one);
    free(bench->other);
    free(bench);
}

static void assert_is_chunk(const struct pattern_file *file, uint32_t n, const struct blob *blob) {
    int64_t start_at = (int64_t)n * CHUNK, rest = file->length - start_at;
    assert_non_null(blob);
    assert_int_equal(blob->size, rest < CHUNK ? rest : CHUNK);
    for (size_t i = 0; i < blob->size; i++)
        if (blob->bytes[i] != pattern_byte(file, start_at + (int64_t)i))
            fail_msg("chunk %u is wrong at %zu", n, i);
}

/* Reads chunks, whose content is right; returns how many came from the source below. */
static unsigned fetched(struct bench *bench, struct pattern_file *file, uint32_t first, uint32_t count) {
    struct blob *blobs[CHUNKS_FETCH_MOST] = {0};
    int errors[CHUNKS_FETCH_MOST] = {0};
    unsigned before = 0, after = 0;
    for (uint32_t n = 0; n < CHUNKS_FETCH_MOST; n++)
        before += atomic_load(&file->fetched[n]);
    assert_true(bench->source.fetch(bench->source.context, file, first, count, &bench->budget, blobs, errors) >= 0);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(errors[i], 0);
        assert_is_chunk(file, first + i, blobs[i]);
        blob_unref(blobs[i]);
    }
    for (uint32_t n = 0; n < CHUNKS_FETCH_MOST; n++)
        after += atomic_load(&file->fetched[n]);
    return after - before;
}

/* The path of a file in the folder. */
static const char *path_of(const struct bench *bench, const struct pattern_file *file) {
    static char path[256];
    struct disk_content content;
    struct disk_file disk_file;
    describe((void *)file, &content);
    /* SHA-256 of "server/database" begins with these. */
    static const unsigned char realm[DISK_REALM] = {0x59, 0x5e, 0x3e, 0x47, 0x91, 0x5e, 0x55, 0x62, 0x64, 0x2f, 0xc7, 0x54, 0xac, 0xe1, 0x70, 0xbc};
    disk_file_init(&disk_file, realm, content.revision, content.length, content.chunk_size);
    snprintf(path, sizeof path, "%s/%s", bench->folder, disk_file.name);
    return path;
}

/* That of its chunks' heads, of a file of several. */
static inline const char *heads_of(const struct bench *bench, const struct pattern_file *file) {
    static char path[260];
    snprintf(path, sizeof path, "%sh", path_of(bench, file));
    return path;
}

static inline bool is_there(const char *path) {
    struct stat status;
    return lstat(path, &status) == 0;
}

#endif
