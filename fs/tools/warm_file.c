// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cache/base/cleanup.h"
#include "fs/tools/warm_notes.h"
#include "fs/tools/warm_private.h"

enum { GONE_TRIES = 2, CHANGED_TRIES = 3, REVISION_MOST = 64 };

/* A file on its way; as long as it is open it is one revision. */
struct reading {
    int fd;         /* -1: not open */
    int64_t offset; /* so far it was read */
    EVP_MD_CTX *digest; /* of that; NULL: not wanted */
    bool recorded;      /* the database has a SHA-256 of it */
    char record[WARM_DIGITS + 1], found[WARM_DIGITS + 1];
    char revision[REVISION_MOST]; /* which it is; "": none, it was written since, or not told */
    int64_t length;
};

static void close_file(struct warm *warm, struct reading *reading) {
    if (reading->fd >= 0)
        close(reading->fd);
    reading->fd = -1;
    atomic_fetch_sub(&warm->bytes, reading->offset); /* what was read of it counts for nothing now */
    reading->offset = 0;
}

static void find_revision(int fd, char revision[REVISION_MOST]) {
    ssize_t size = fgetxattr(fd, "user.gridfs.revision", revision, REVISION_MOST - 1);
    revision[size > 0 ? size : 0] = '\0';
}

static int find_record(struct reading *reading) {
    ssize_t size = fgetxattr(reading->fd, "user.gridfs.sha256", reading->record, WARM_DIGITS);
    reading->recorded = size >= 0 || errno == ERANGE; /* longer than any: it does not match */
    reading->record[size > 0 ? size : 0] = '\0';
    if (!reading->recorded && errno != ENODATA && errno != EOPNOTSUPP)
        return -errno;
    find_revision(reading->fd, reading->revision);
    return EVP_DigestInit_ex(reading->digest, EVP_sha256(), NULL) ? 0 : -ENOMEM;
}

/* -ENOENT: it is gone, or is no file any more. `fills`: the kernel's pages too; else what is read is asked of the mount, and
 * pushes nothing out of them. */
static int open_file(struct reading *reading, const char *path, bool fills) {
    struct stat status;
    reading->fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (fills ? 0 : O_DIRECT));
    if (reading->fd < 0)
        return errno == ELOOP ? -ENOENT : -errno;
    if (fstat(reading->fd, &status))
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -ENOENT;
    reading->length = status.st_size;
    return reading->digest ? find_record(reading) : 0;
}

/* Whether an earlier run has read it. */
static bool is_noted(struct warm *warm, struct reading *reading) {
    if (!warm->notes || reading->offset || !warm_notes_find(warm->notes, reading->revision, reading->length, reading->found))
        return false;
    reading->offset = reading->length;
    atomic_fetch_add(&warm->bytes, reading->length);
    return true;
}

/* From where it stopped to the end. -ECANCELED: it was told to stop. */
static int read_on(struct warm *warm, struct warm_item *item, struct reading *reading, void *buffer) {
    while (warm_list_sleep(warm->list, 0)) {
        int64_t left = item->size - reading->offset;
        warm_mount_spare(warm, item->mount, left < WARM_PIECE ? left : WARM_PIECE);
        ssize_t size = pread(reading->fd, buffer, WARM_PIECE, reading->offset);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return size ? -errno : 0;
        if (reading->digest && !EVP_DigestUpdate(reading->digest, buffer, (size_t)size))
            return -ENOMEM;
        reading->offset += size;
        atomic_fetch_add(&warm->bytes, size);
    }
    return -ECANCELED;
}

static bool is_as_recorded(const struct reading *reading) {
    return reading->recorded && strcasecmp(reading->found, reading->record) == 0;
}

/* -EBUSY: what was read is of no revision, it was changed meanwhile. */
static int conclude(struct reading *reading) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    char now[REVISION_MOST];
    if (!reading->digest)
        return 0;
    (void)EVP_DigestFinal_ex(reading->digest, digest, NULL);
    for (unsigned i = 0; i < WARM_DIGITS / 2; i++)
        snprintf(reading->found + 2 * i, 3, "%02x", digest[i]);
    if (is_as_recorded(reading))
        return 0;
    find_revision(reading->fd, now);
    return strcmp(now, reading->revision) == 0 ? 0 : -EBUSY;
}

static int read_file(struct warm *warm, struct warm_item *item, struct reading *reading, void *buffer) {
    for (unsigned tries = 0, changed = 0;;) {
        int64_t before = reading->offset;
        int result = reading->fd < 0 ? open_file(reading, item->path, warm_fills(warm)) : 0;
        if (result == 0 && is_noted(warm, reading))
            return 0;
        if (result == 0)
            result = read_on(warm, item, reading, buffer);
        if (result == 0)
            result = conclude(reading);
        changed += result == -EBUSY;
        if (result == 0 || result == -ECANCELED || changed == CHANGED_TRIES)
            return result;
        tries = reading->offset > before ? 0 : tries;
        if (result == -EBUSY || result == -ESTALE || result == -ENOENT || reading->offset == 0)
            close_file(warm, reading); /* replaced, or it never was open for good */
        if ((result == -ENOENT && tries >= GONE_TRIES) || !warm_tries_again(warm, result, &tries))
            return result;
    }
}

static void check_digest(struct warm *warm, const struct warm_item *item, const struct reading *reading) {
    bool same = !reading->recorded || is_as_recorded(reading);
    atomic_fetch_add(!reading->recorded ? &warm->unknown : same ? &warm->verified : &warm->mismatched, 1);
    if (same && warm->notes)
        warm_notes_add(warm->notes, reading->revision, reading->length, reading->found);
    warm_report_file(warm, item->path, reading->recorded ? reading->record : NULL, reading->found);
}

void warm_file(struct warm *warm, struct warm_item *item, void *buffer) {
    bool verify = warm->request->verify;
    struct reading reading = {.fd = -1, .digest = verify ? EVP_MD_CTX_new() : NULL};
    int result = verify && !reading.digest ? -ENOMEM : read_file(warm, item, &reading, buffer);
    if (result == 0) {
        atomic_fetch_add(&warm->files, 1);
        if (verify)
            check_digest(warm, item, &reading);
    } else if (result == -ENOENT) {
        atomic_fetch_add(&warm->gone, 1);
    } else if (warm_list_sleep(warm->list, 0)) {
        warm_report_failure(warm, item->path, result);
    }
    if (reading.fd >= 0)
        close(reading.fd);
    EVP_MD_CTX_free(reading.digest);
}
