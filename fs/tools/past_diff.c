// SPDX-License-Identifier: Apache-2.0
/* Two revisions, chunk by chunk. Where their chunks are not of one size, those of the first are counted. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/tools/past_private.h"
#include "fs/tools/text.h"

enum { SAME = 0, DIFFERENT = 1, TROUBLE = 2, CHUNK_SIZE = 255 << 10, CHUNK_SIZE_MOST = 16 << 20 };

/* A file of two. */
struct side {
    char *path, *named;
    int fd; /* -1: not open */
    int64_t length, chunk_size; /* bytes */
};

static void side_done(struct side *side) {
    if (side->fd >= 0)
        close(side->fd);
    free(side->path);
    free(side->named);
}

/* `path` and `named` are taken over. */
static bool open_side(char *path, char *named, struct side *ret_side) {
    struct side side = {.path = path, .named = named, .fd = -1};
    char number[32];
    struct stat status;
    if (path && named)
        side.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int error = side.fd < 0 || fstat(side.fd, &status) ? errno
                : S_ISREG(status.st_mode)              ? 0
                : S_ISDIR(status.st_mode)              ? EISDIR
                                                       : EINVAL; /* it has no length to be compared */
    if (error) {
        past_complain(named ? named : "?", ": %s", strerror(error));
        side_done(&side);
        return false;
    }
    side.length = status.st_size;
    side.chunk_size = past_attribute(path, "user.gridfs.chunkSize", number, sizeof number) ? 0 : atoll(number);
    if (side.chunk_size < 1 || side.chunk_size > CHUNK_SIZE_MOST)
        side.chunk_size = CHUNK_SIZE;
    *ret_side = side;
    return true;
}

/* What PATH@REV names. With `now` also the file as it is now. */
static bool open_named(const char *argument, struct side *ret_side, struct side *now) {
    cleanup_free char *path = NULL;
    struct past revisions;
    const char *name;
    char *full, *named;
    if (!past_choose(argument, &path, &revisions, &name))
        return false;
    if (asprintf(&full, "%s/%s", revisions.directory, name) < 0)
        full = NULL;
    if (asprintf(&named, "%s@%s", path, name) < 0)
        named = NULL;
    bool opened = open_side(full, named, ret_side);
    if (opened && now && !open_side(strdup(revisions.real), strdup(path), now)) {
        side_done(ret_side);
        opened = false;
    }
    past_done(&revisions);
    return opened;
}

/* All of it that is there, up to `size`; or -errno. */
static ssize_t read_chunk(const struct side *side, int64_t offset, size_t size, unsigned char *into) {
    size_t got = 0;
    while (got < size) {
        ssize_t part = pread(side->fd, into + got, size - got, offset + (int64_t)got);
        if (part < 0 && errno != EINTR) {
            int error = errno;
            past_complain(side->named, ": %s", strerror(error));
            return -error;
        }
        if (part == 0)
            break;
        got += part > 0 ? (size_t)part : 0;
    }
    return (ssize_t)got;
}

static void put_side(const char *sign, const struct side *side) {
    printf("%s ", sign);
    text_put_plain(stdout, side->named, strlen(side->named));
    printf("  %lld bytes in chunks of %lld\n", (long long)side->length, (long long)side->chunk_size);
}

/* Chunks [first, end) differ. */
static void put_run(const struct side *sides, int64_t first, int64_t end) {
    int64_t size = sides[0].chunk_size, longest = sides[0].length > sides[1].length ? sides[0].length : sides[1].length;
    int64_t last = end * size < longest ? end * size : longest;
    if (end - first == 1)
        printf("chunk %lld", (long long)first);
    else
        printf("chunks %lld to %lld", (long long)first, (long long)end - 1);
    printf(": bytes %lld to %lld\n", (long long)(first * size), (long long)last - 1);
}

/* Says so of each run of chunks that differ. */
static int compare(const struct side sides[2]) {
    int64_t size = sides[0].chunk_size, longest = sides[0].length > sides[1].length ? sides[0].length : sides[1].length;
    cleanup_free unsigned char *one = malloc((size_t)size), *other = malloc((size_t)size);
    int64_t count = (longest + size - 1) / size, different = 0, run = -1;
    for (int64_t n = 0; one && other && n <= count; n++) {
        ssize_t got = n < count ? read_chunk(&sides[0], n * size, (size_t)size, one) : 0;
        ssize_t other_got = got < 0 ? got : n < count ? read_chunk(&sides[1], n * size, (size_t)size, other) : 0;
        if (got < 0 || other_got < 0)
            return TROUBLE;
        bool differs = got != other_got || memcmp(one, other, (size_t)got) != 0;
        if (differs && different++ == 0) {
            put_side("---", &sides[0]);
            put_side("+++", &sides[1]);
        }
        if (differs && run < 0)
            run = n;
        if (!differs && run >= 0) {
            put_run(sides, run, n);
            run = -1;
        }
    }
    if (different)
        printf("%lld of %lld chunks differ\n", (long long)different, (long long)count);
    return !one || !other ? TROUBLE : different ? DIFFERENT : SAME;
}

/* A file that is there by that name, as it is now; else what PATH@REV names. */
static bool open_argument(const char *argument, struct side *ret_side) {
    if (access(argument, F_OK) == 0)
        return open_side(strdup(argument), strdup(argument), ret_side);
    return open_named(argument, ret_side, NULL);
}

int past_diff(const char *one, const char *other) {
    struct side sides[2];
    if (!(other ? open_argument(one, &sides[0]) : open_named(one, &sides[0], &sides[1])))
        return TROUBLE;
    if (other && !open_argument(other, &sides[1])) {
        side_done(&sides[0]);
        return TROUBLE;
    }
    int result = compare(sides);
    side_done(&sides[0]);
    side_done(&sides[1]);
    return fflush(stdout) || ferror(stdout) ? TROUBLE : result;
}
