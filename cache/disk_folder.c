// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/path.h"
#include "cache/base/stats.h"
#include "cache/disk_file.h"

int disk_folder_prepare(const char *folder, const char **ret_why) {
    struct stat status;
    int made = path_make(folder, 0700), result = made < 0 ? made : 0;
    if (result == 0 && lstat(folder, &status))
        result = -errno;
    *ret_why = result ? strerror(-result) : NULL;
    if (result)
        return result;
    if (!S_ISDIR(status.st_mode))
        *ret_why = "it is no directory";
    else if (status.st_uid != geteuid())
        *ret_why = "it belongs to another user";
    else if (status.st_mode & S_IWOTH)
        *ret_why = "everybody could change what is in it";
    if (*ret_why)
        return -EPERM;
    if (status.st_mode & 077)
        (void)fchmodat(AT_FDCWD, folder, 0700, AT_SYMLINK_NOFOLLOW);
    return 0;
}

int disk_folder_free(const char *folder, int64_t *ret_bytes) {
    struct statvfs room;
    if (statvfs(folder, &room))
        return -errno;
    *ret_bytes = (int64_t)(room.f_bavail * room.f_frsize);
    return 0;
}

/* ---- the least recently used of them ---- */

struct old_file {
    char name[DISK_FILE_NAME];
    struct timespec used;
    int64_t bytes;
};

enum { OLDEST = 512 };

/* The OLDEST oldest are the first ones, once they are sorted. */
struct listing {
    DIR *stream;
    int64_t used; /* bytes of all files */
    bool more;    /* there are more than these */
    unsigned count;
    struct old_file files[2 * OLDEST];
};

static int by_age(const void *one, const void *other) {
    const struct timespec *a = &((const struct old_file *)one)->used, *b = &((const struct old_file *)other)->used;
    int seconds = (a->tv_sec > b->tv_sec) - (a->tv_sec < b->tv_sec);
    return seconds ? seconds : (a->tv_nsec > b->tv_nsec) - (a->tv_nsec < b->tv_nsec);
}

static void sort(struct listing *listing) {
    qsort(listing->files, listing->count, sizeof *listing->files, by_age);
    if (listing->count > OLDEST) {
        listing->count = OLDEST;
        listing->more = true;
    }
}

static bool is_ours(const struct listing *listing, const char *name, struct stat *ret_status) {
    return fstatat(dirfd(listing->stream), name, ret_status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(ret_status->st_mode) && ret_status->st_uid == geteuid();
}

/* Heads whose content has gone: it went between the two when they were made. */
static void remove_left_heads(const struct listing *listing, const char *name, const char *content) {
    struct stat status;
    if (faccessat(dirfd(listing->stream), content, F_OK, AT_SYMLINK_NOFOLLOW) && errno == ENOENT &&
        is_ours(listing, name, &status))
        (void)unlinkat(dirfd(listing->stream), name, 0);
}

static void take(struct listing *listing, const char *name) {
    char heads[DISK_FILE_NAME], content[DISK_FILE_NAME];
    struct stat status, more;
    if (disk_file_is_heads(name, content))
        remove_left_heads(listing, name, content);
    if (!disk_file_is_name(name, heads) || !is_ours(listing, name, &status))
        return;
    bool has_heads = is_ours(listing, heads, &more); /* which are what is used, see disk_file_use() */
    int64_t blocks = status.st_blocks + (has_heads ? more.st_blocks : 0);
    if (listing->count == 2 * OLDEST)
        sort(listing);
    struct old_file *file = &listing->files[listing->count++];
    *file = (struct old_file){.used = has_heads ? more.st_mtim : status.st_mtim, .bytes = blocks * 512};
    strcpy(file->name, name);
    listing->used += file->bytes;
}

static int look(struct listing *listing, const char *folder) {
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    listing->stream = fd < 0 ? NULL : fdopendir(fd);
    if (!listing->stream) {
        int result = -errno;
        if (fd >= 0)
            close(fd);
        return result;
    }
    const struct dirent *entry;
    while ((errno = 0, entry = readdir(listing->stream)))
        take(listing, entry->d_name);
    int result = -errno;
    sort(listing);
    return result;
}

/* Removes what was listed, the oldest first; the bytes that are gone. What another removed meanwhile has gone too. */
static int64_t remove_oldest(const struct listing *listing, int64_t bytes) {
    int64_t gone = 0;
    for (unsigned i = 0; i < listing->count && gone < bytes; i++) {
        const struct old_file *file = &listing->files[i];
        int result = unlinkat(dirfd(listing->stream), file->name, 0);
        if (result && errno != ENOENT)
            continue;
        char heads[DISK_FILE_NAME];
        struct stat status;
        if (disk_file_is_name(file->name, heads) && is_ours(listing, heads, &status))
            (void)unlinkat(dirfd(listing->stream), heads, 0);
        gone += file->bytes;
        stats_add(STAT_disk_evictions, result ? 0 : 1);
    }
    return gone;
}

/* One look around, and what has to go after it. *excess < 0: it is to be found out. */
static int trim_once(const char *folder, const struct disk_room *room, int64_t *excess, int64_t *ret_used,
                     bool *ret_again) {
    cleanup_free struct listing *listing = calloc(1, sizeof *listing);
    int64_t free_now = 0;
    if (!listing)
        return -ENOMEM;
    int result = look(listing, folder);
    if (result == 0)
        result = disk_folder_free(folder, &free_now);
    if (result == 0) {
        int64_t slack = room->most / 16;
        int64_t over = listing->used > room->most ? listing->used - room->most + slack : 0;
        int64_t missing = free_now < room->least_free ? room->least_free - free_now + slack : 0;
        if (*excess < 0)
            *excess = over > missing ? over : missing;
        int64_t gone = remove_oldest(listing, *excess);
        *excess = gone < *excess ? *excess - gone : 0;
        *ret_used = listing->used - gone;
        *ret_again = *excess && listing->more && gone;
    }
    if (listing->stream)
        closedir(listing->stream);
    return result;
}

int disk_folder_trim(const char *folder, const struct disk_room *room, int64_t *ret_used) {
    int64_t excess = -1;
    bool again = true;
    int result = 0;
    while (result == 0 && again)
        result = trim_once(folder, room, &excess, ret_used, &again);
    return result;
}
