// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/cleanup.h"
#include "fs/tools/warm_private.h"

/* What one directory has: nothing is added before all of it is known, so that it can be listed once more. */
struct found {
    struct warm_queue directories, files;
};

/* .gridfs, of the mount or of a bucket, where that shows. Not if it is named. */
static bool is_control(const struct warm_item *directory, const char *name, const struct stat *status) {
    const char *below = directory->path + strlen(directory->mount->path);
    bool near = !*below || !strchr(below + 1, '/');
    return near && strcmp(name, ".gridfs") == 0 && (status->st_mode & 07777) == 0500;
}

/* Symlinks are not followed: what they lead to may be outside. */
static int take_entry(struct found *found, const struct warm_item *directory, int fd, const struct dirent *entry) {
    struct stat status;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return 0;
    if (entry->d_type != DT_REG && entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN)
        return 0;
    if (fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT || errno == ESTALE ? 0 : -errno; /* removed meanwhile */
    bool inside = status.st_dev == directory->mount->device && !is_control(directory, entry->d_name, &status);
    if (!inside || !(S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        return 0;
    struct warm_item *item = warm_item_new(directory->mount, directory->path, entry->d_name, status.st_size);
    if (!item)
        return -ENOMEM;
    warm_queue_add(S_ISDIR(status.st_mode) ? &found->directories : &found->files, item);
    return 0;
}

static int list(const struct warm_item *directory, struct found *ret_found) {
    int fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int result = stream ? 0 : -errno;
    const struct dirent *entry = NULL;
    do {
        errno = 0;
        entry = stream ? readdir(stream) : NULL;
        if (entry)
            result = take_entry(ret_found, directory, fd, entry);
        else if (stream)
            result = -errno;
    } while (entry && result == 0);
    if (stream)
        closedir(stream);
    else if (fd >= 0)
        close(fd);
    if (result) {
        warm_queue_clear(&ret_found->directories);
        warm_queue_clear(&ret_found->files);
    }
    return result;
}

void warm_directory(struct warm *warm, struct warm_item *item) {
    struct found found = {0};
    unsigned tries = 0;
    int result;
    do
        result = list(item, &found);
    while (result && result != -ENOENT && warm_tries_again(warm, result, &tries));
    if (result == 0 && warm_list_add(warm->list, &found.directories, &found.files))
        warm_report_warning(warm, "this is more than the caches of the mount keep, so not all of it will stay warm; give it "
                                  "a larger cache_size, or cache_dir with a larger cache_disk");
    if (result && result != -ENOENT && warm_list_sleep(warm->list, 0))
        warm_report_failure(warm, item->path, result);
}
