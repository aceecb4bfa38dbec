// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/memory_mount.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/check.h"
#include "cache/staging.h"

const struct vfs_caller memory_mount_caller = {.uid = 7, .gid = 8};

static int fetch(void *context, void *handle, uint32_t first, uint32_t count, struct budget *budget,
                 struct blob **ret_blobs, int *ret_errors) {
    struct revision *revision = handle;
    (void)context;
    return revision->store->ops->fetch(revision->store, revision, first, count, budget, ret_blobs, ret_errors);
}

static int fetch_heads(void *context, void *const *handles, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    struct revision *revisions[CHUNKS_FETCH_MOST];
    (void)context;
    for (uint32_t i = 0; i < count; i++)
        revisions[i] = handles[i];
    struct store *store = revisions[0]->store;
    return store->ops->fetch_heads(store, revisions, count, budget, ret_blobs, ret_errors);
}

static void ref(void *handle) {
    revision_ref(handle);
}

static void unref(void *handle) {
    revision_unref(handle);
}

static char *text(void *context, enum vfs_text which) {
    (void)context;
    static const char *const texts[] = {[VFS_STATUS] = "state ok", [VFS_STATUS_JSON] = "{}", [VFS_METRICS] = "# EOF",
                                        [VFS_PAGE] = "http"};
    return strdup(texts[which]);
}

static struct memory_mount *mount_of(struct server *server) {
    return (struct memory_mount *)server;
}

static int buckets(struct server *server, char ***ret_names) {
    struct server *behind = mount_of(server)->server;
    return behind->ops->buckets(behind, ret_names);
}

static int bucket(struct server *server, const char *name, struct store **ret_store) {
    struct memory_mount *mount = mount_of(server);
    if (strcmp(name, "fs") != 0)
        return mount->server->ops->bucket(mount->server, name, ret_store);
    *ret_store = &mount->faulty.store;
    return 0;
}

static bool healthy(struct server *server) {
    return !atomic_load(&mount_of(server)->faulty.away);
}

struct memory_mount *memory_mount_new(const char *name, int64_t trust_ms, bool trust_opens) {
    static const struct chunk_source source = {
        .fetch = fetch, .fetch_heads = fetch_heads, .ref = ref, .unref = unref};
    static const struct server_ops front = {.buckets = buckets, .bucket = bucket, .healthy = healthy};
    struct memory_mount *mount = calloc(1, sizeof *mount);
    mount->front.ops = &front;
    mount->server = memory_server_new();
    mount->memory = memory_server_bucket(mount->server, "fs");
    faulty_store_init(&mount->faulty, memory_store_store(mount->memory));
    budget_init(&mount->budget, 16 << 20);
    mount->workers = workers_new(2, 8);
    mount->chunks = chunks_new(&mount->budget, &source, mount->workers);
    strcpy(mount->folder, "/tmp/gridmount-unit-XXXXXX");
    CHECK(mkdtemp(mount->folder) && staging_new(&mount->budget, 1 << 20, mount->folder, &mount->staging) == 0);
    mount->config = (struct vfs_config){.server = &mount->front,
                                        .bucket = name,
                                        .chunks = mount->chunks,
                                        .staging = mount->staging,
                                        .max_file_size = 64 << 20,
                                        .uid = 7,
                                        .owner = 7,
                                        .owner_group = 8,
                                        .gid = 8,
                                        .umask = 022,
                                        .trust_ms = trust_ms,
                                        .trust_opens = trust_opens,
                                        .text = text};
    CHECK(vfs_new(&mount->config, &mount->vfs) == 0);
    return mount;
}

void memory_mount_unmount(struct memory_mount *mount) {
    vfs_check(mount->vfs);
    mount->vfs = vfs_free(mount->vfs);
}

void memory_mount_done(struct memory_mount *mount) {
    if (mount->vfs)
        memory_mount_unmount(mount);
    workers_free(mount->workers);
    chunks_free(mount->chunks);
    staging_free(mount->staging);
    CHECK(rmdir(mount->folder) == 0);
    CHECK(budget_used(&mount->budget) == 0);
    faulty_store_done(&mount->faulty);
    mount->server->ops->free(mount->server);
    free(mount);
}

void memory_mount_settle(struct memory_mount *mount) {
    workers_free(mount->workers); /* runs what is queued; nothing is prefetched from here on */
    mount->workers = NULL;
}

void memory_mount_put(struct memory_mount *mount, const char *path, const char *content) {
    memory_store_put(mount->memory, path, content, strlen(content), 4);
}

int memory_mount_look_up(struct memory_mount *mount, const char *path, struct vfs_entry *ret_entry) {
    char *copy = strdup(path), *rest = copy, *name;
    struct inode *parent = vfs_root(mount->vfs);
    struct vfs_entry entry = {0};
    int result = 0;
    while (result == 0 && (name = strsep(&rest, "/"))) {
        result = vfs_lookup(mount->vfs, parent, name, &entry);
        if (parent != vfs_root(mount->vfs))
            vfs_forget(mount->vfs, parent, 1);
        parent = entry.inode;
    }
    free(copy);
    if (result == 0)
        *ret_entry = entry;
    return result;
}

struct vfs_entry memory_mount_found(struct memory_mount *mount, const char *path) {
    struct vfs_entry entry;
    CHECK(memory_mount_look_up(mount, path, &entry) == 0);
    return entry;
}

struct handle *memory_mount_opened_as(struct memory_mount *mount, struct inode *inode, int flags) {
    struct handle *handle;
    bool live;
    CHECK(vfs_open(mount->vfs, inode, flags, &memory_mount_caller, &handle, &live) == 0);
    return handle;
}

struct handle *memory_mount_opened(struct memory_mount *mount, struct inode *inode) {
    return memory_mount_opened_as(mount, inode, O_RDONLY);
}

struct handle *memory_mount_created(struct memory_mount *mount, struct inode *parent, const char *name, int flags,
                                    struct vfs_entry *ret_entry) {
    struct handle *handle;
    CHECK(vfs_create(mount->vfs, parent, name, 0644, flags, &memory_mount_caller, ret_entry, &handle) == 0);
    return handle;
}

void memory_mount_write(struct memory_mount *mount, struct handle *handle, int64_t offset, const char *text) {
    CHECK(vfs_write(mount->vfs, handle, offset, text, strlen(text), &memory_mount_caller) == 0);
}

void memory_mount_overwrite(struct memory_mount *mount, const char *path, const char *text) {
    struct vfs_entry entry = memory_mount_found(mount, path);
    struct handle *handle = memory_mount_opened_as(mount, entry.inode, O_WRONLY | O_TRUNC);
    memory_mount_write(mount, handle, 0, text);
    CHECK(vfs_flush(mount->vfs, handle, &memory_mount_caller) == 0);
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, entry.inode, 1);
}

void memory_mount_expect_stored(struct memory_mount *mount, const char *path, const char *expected) {
    size_t size = 0;
    const char *content = memory_store_content(mount->memory, path, &size);
    CHECK(!content == !expected);
    CHECK(!expected || (size == strlen(expected) && memcmp(content, expected, size) == 0));
}

int memory_mount_read(struct memory_mount *mount, struct handle *handle, char ret_text[100]) {
    struct reader_view views[READER_VIEWS];
    unsigned count;
    int result = vfs_read(mount->vfs, handle, 0, 99, views, &count);
    size_t size = 0;
    for (unsigned i = 0; result == 0 && i < count; i++) {
        memcpy(ret_text + size, views[i].bytes, views[i].size);
        size += views[i].size;
    }
    ret_text[size] = '\0';
    if (result == 0)
        reader_release(views, count);
    return result;
}

void memory_mount_expect_text(struct memory_mount *mount, struct handle *handle, const char *expected) {
    char text[100];
    CHECK(memory_mount_read(mount, handle, text) == 0);
    CHECK(strcmp(text, expected) == 0);
}

void memory_mount_expect_file(struct memory_mount *mount, const char *path, const char *expected) {
    struct vfs_entry entry = memory_mount_found(mount, path);
    struct handle *handle = memory_mount_opened(mount, entry.inode);
    memory_mount_expect_text(mount, handle, expected);
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void take_name(void *context, const char *name, const struct vfs_entry *entry, uint64_t next) {
    (void)entry;
    (void)next;
    if (strstr(name, ".recovered-"))
        snprintf(context, NAMES_COMPONENT_MOST + 1, "%s", name);
}

static bool always_fits(void *context, const char *name) {
    (void)context;
    (void)name;
    return true;
}

void memory_mount_find_recovered(struct memory_mount *mount, char ret_name[NAMES_COMPONENT_MOST + 1]) {
    struct handle *handle;
    const struct vfs_taker taker = {.context = ret_name, .fits = always_fits, .take = take_name};
    *ret_name = '\0';
    CHECK(vfs_open_directory(mount->vfs, vfs_root(mount->vfs), &handle) == 0);
    CHECK(vfs_read_directory(mount->vfs, handle, 0, false, &taker) == 0);
    vfs_close(mount->vfs, handle);
}
