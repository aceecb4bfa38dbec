// SPDX-License-Identifier: Apache-2.0
#include "fs/disk_tier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/store/revision.h"

enum { REST_MS = 60000 };

static void describe(void *handle, struct disk_content *ret_content) {
    const struct revision *revision = handle;
    _Static_assert((int)REVISION_KEY == (int)REVISION_KEY_SIZE, "the cache has other keys than the store");
    memcpy(ret_content->revision, revision->key, sizeof ret_content->revision);
    ret_content->length = revision->length;
    ret_content->chunk_size = revision->chunk_size;
}

static bool is_below(const char *path, const char *mountpoint) {
    cleanup_free char *real = realpath(path, NULL);
    size_t size = strlen(mountpoint);
    return real && strncmp(real, mountpoint, size) == 0 && (real[size] == '/' || real[size] == '\0');
}

int disk_tier_open(const struct options *options, const struct server *server, const struct chunk_source *below,
                   struct disk **ret_disk, char **ret_error) {
    cleanup_free char *realm = NULL, *folder = NULL;
    if (!options->cache_dir)
        return 0;
    if (asprintf(&realm, "%s\n%s", server->address, server->database) < 0)
        realm = NULL;
    if (asprintf(&folder, "%s/chunks", options->cache_dir) < 0)
        folder = NULL;
    if (!realm || !folder)
        return -ENOMEM;
    struct disk_config config = {.folder = folder,
                                 .realm = realm,
                                 .room = {.most = options->cache_disk, .least_free = options->cache_free},
                                 .rest_ms = REST_MS,
                                 .below = *below,
                                 .describe = describe};
    int result = disk_new(&config, ret_disk, ret_error);
    if (result == 0 && is_below(folder, options->mountpoint)) { /* what the mount waits for would come from itself */
        *ret_disk = disk_free(*ret_disk);
        *ret_error = strdup("cache_dir lies in the directory that is mounted on; give another");
        result = -EINVAL;
    }
    return result;
}
