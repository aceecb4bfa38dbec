// SPDX-License-Identifier: Apache-2.0
/* Names that are made, removed and renamed through a vfs, with files open and unpublished meanwhile. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/log.h"
#include "tests/unit/vfs_bench.h"

static struct handle *created_in(struct inode *parent, const char *name, int flags, const char *text,
                                 struct vfs_entry *ret_entry) {
    struct handle *handle = memory_mount_created(mount, parent, name, flags, ret_entry);
    memory_mount_write(mount, handle, 0, text);
    return handle;
}

static struct handle *created(const char *name, int flags, const char *text, struct vfs_entry *ret_entry) {
    return created_in(root, name, flags, text, ret_entry);
}

static void forget(const struct vfs_entry *entry) {
    vfs_forget(mount->vfs, entry->inode, 1);
}

static struct vfs_entry made_directory(struct inode *parent, const char *name) {
    struct vfs_entry entry;
    assert_int_equal(vfs_mkdir(mount->vfs, parent, name, 0755, &memory_mount_caller, &entry), 0);
    return entry;
}

static int exclusive(struct inode *parent, const char *name, struct vfs_entry *ret_entry,
                     struct handle **ret_handle) {
    return vfs_create(mount->vfs, parent, name, 0644, O_EXCL, &memory_mount_caller, ret_entry, ret_handle);
}

static int renamed(const char *from, const char *to, unsigned flags) {
    return vfs_rename(mount->vfs, root, from, root, to, flags);
}

static void expect_nothing_at(const char *path) {
    struct vfs_entry entry;
    assert_int_equal(memory_mount_look_up(mount, path, &entry), -ENOENT);
    memory_mount_expect_stored(mount, path, NULL);
}

static nlink_t links_of(struct inode *inode) {
    struct stat attributes;
    assert_int_equal(vfs_attributes(mount->vfs, inode, &attributes), 0);
    return attributes.st_nlink;
}

/* ---- exclusive names ---- */

static void a_name_is_claimed_until_its_file_is_published_or_gone(void **state) {
    (void)state;
    struct vfs *other = NULL;
    struct vfs_entry entry, none;
    struct handle *handle, *failed;
    assert_int_equal(vfs_new(&mount->config, &other), 0);
    struct inode *there = vfs_root(other);
    const struct vfs_caller *caller = &memory_mount_caller;
    for (int unlinked = 0; unlinked < 2; unlinked++) {
        handle = created("file", O_EXCL, "text", &entry);
        assert_int_equal(vfs_lookup(other, there, "file", &none), -ENOENT);
        assert_int_equal(vfs_create(other, there, "file", 0644, O_EXCL, caller, &none, &failed), -EEXIST);
        assert_int_equal(vfs_mkdir(other, there, "file", 0755, caller, &none), -EEXIST);
        if (unlinked)
            assert_int_equal(vfs_unlink(mount->vfs, root, "file"), 0);
        close_and_forget(handle, entry.inode);
        if (unlinked) {
            assert_int_equal(vfs_create(other, there, "file", 0644, O_EXCL, caller, &entry, &handle), 0);
            vfs_close(other, handle);
            vfs_forget(other, entry.inode, 1);
        } else {
            assert_int_equal(vfs_create(other, there, "file", 0644, O_EXCL, caller, &none, &failed), -EEXIST);
            assert_int_equal(vfs_unlink(mount->vfs, root, "file"), 0);
        }
    }
    vfs_free(other);
    memory_mount_expect_stored(mount, "file", "");
}

static void a_failed_creation_leaves_nothing(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle;
    faulty_store_fail(&mount->faulty, FAULTY_RESERVE, 1, -ETIMEDOUT);
    assert_int_equal(exclusive(root, "file", &entry, &handle), -ETIMEDOUT);
    faulty_store_lose_answer(&mount->faulty, FAULTY_RESERVE, 1, -ETIMEDOUT);
    assert_int_equal(exclusive(root, "file", &entry, &handle), -ETIMEDOUT);
    expect_nothing_at("file");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    assert_int_equal(vfs_mknod(mount->vfs, root, "file", S_IFREG | 0644, 0, &memory_mount_caller, &entry), -EIO);
    expect_nothing_at("file");
    faulty_store_fail(&mount->faulty, FAULTY_MAKE, 1, -EACCES);
    assert_int_equal(vfs_mkdir(mount->vfs, root, "file", 0755, &memory_mount_caller, &entry), -EACCES);
    expect_nothing_at("file");
    assert_int_equal(exclusive(root, "file", &entry, &handle), 0); /* no claim is in the way */
    close_and_forget(handle, entry.inode);
}

static void a_regular_file_of_mknod_is_published_at_once(void **state) {
    (void)state;
    struct vfs_entry entry, none;
    const struct vfs_caller *caller = &memory_mount_caller;
    assert_int_equal(vfs_mknod(mount->vfs, root, "file", S_IFREG | 0604, 0, caller, &entry), 0);
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0604);
    memory_mount_expect_stored(mount, "file", "");
    assert_int_equal(vfs_mknod(mount->vfs, root, "file", S_IFREG | 0644, 0, caller, &none), -EEXIST);
    forget(&entry);
}

static void what_is_no_file_is_made_as_it_is_asked_for(void **state) {
    (void)state;
    struct vfs_entry entry;
    const struct vfs_caller *caller = &memory_mount_caller;
    static const mode_t modes[] = {S_IFIFO | 0640, S_IFSOCK | 0700, S_IFCHR | 0600, S_IFBLK | 0660};
    static const char *const names[] = {"fifo", "socket", "character", "block"};
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(vfs_mknod(mount->vfs, root, names[i], modes[i], 0x103, caller, &entry), 0);
        forget(&entry);
        entry = memory_mount_found(mount, names[i]);
        assert_int_equal(entry.attributes.st_mode, modes[i]);
        assert_int_equal(entry.attributes.st_rdev, 0x103);
        forget(&entry);
    }
    assert_int_equal(vfs_symlink(mount->vfs, root, "link", "target", caller, &entry), 0);
    assert_int_equal(entry.attributes.st_mode, S_IFLNK | 0777);
    assert_int_equal(entry.attributes.st_size, 6);
    forget(&entry);
    assert_int_equal(vfs_symlink(mount->vfs, root, "link", "other", caller, &entry), -EEXIST);
    assert_int_equal(vfs_mkdir(mount->vfs, root, "link", 0755, caller, &entry), -EEXIST);
}

static void what_is_made_in_a_setgid_directory_has_its_group(void **state) {
    (void)state;
    struct vfs_entry directory = made_directory(root, "d"), entry;
    struct vfs_change change = {.set = VFS_MODE | VFS_GID, .mode = 02775, .gid = 42};
    struct stat attributes;
    assert_int_equal(directory.attributes.st_gid, 8);
    assert_int_equal(vfs_change(mount->vfs, directory.inode, NULL, &change, &attributes), 0);
    assert_int_equal(attributes.st_mode, S_IFDIR | 02775);
    struct handle *handle = created_in(directory.inode, "file", 0, "x", &entry);
    assert_int_equal(entry.attributes.st_gid, 42);
    assert_int_equal(entry.attributes.st_uid, 7);
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0644);
    close_and_forget(handle, entry.inode);
    entry = made_directory(directory.inode, "below");
    assert_int_equal(entry.attributes.st_gid, 42);
    assert_int_equal(entry.attributes.st_mode, S_IFDIR | 02755); /* and so on, all the way down */
    forget(&entry);
    entry = memory_mount_found(mount, "d/file");
    assert_int_equal(entry.attributes.st_gid, 42);
    forget(&entry);
    forget(&directory);
}

static void the_control_directory_and_buckets_are_not_changed(void **state) {
    (void)state;
    struct vfs_entry control = memory_mount_found(mount, ".gridfs"), status, entry;
    struct handle *handle;
    bool live;
    const struct vfs_caller *caller = &memory_mount_caller;
    unsigned id = memory_store_put(mount->memory, "file", "x", 1, 4);
    char path[64];
    snprintf(path, sizeof path, ".gridfs/id/id-%u", id);
    status = memory_mount_found(mount, path);
    assert_int_equal(vfs_mkdir(mount->vfs, root, ".gridfs", 0755, caller, &entry), -EPERM);
    assert_int_equal(vfs_unlink(mount->vfs, root, ".gridfs"), -EPERM);
    assert_int_equal(renamed(".gridfs", "x", 0), -EPERM);
    assert_int_equal(renamed("file", ".gridfs", 0), -EPERM);
    assert_int_equal(vfs_mkdir(mount->vfs, control.inode, "x", 0755, caller, &entry), -EROFS);
    assert_int_equal(vfs_unlink(mount->vfs, control.inode, "status"), -EROFS);
    assert_int_equal(vfs_link(mount->vfs, status.inode, root, "new", &entry), -EROFS);
    assert_int_equal(vfs_open(mount->vfs, status.inode, O_RDWR, caller, &handle, &live), -EROFS);
    forget(&status);
    status = memory_mount_found(mount, ".gridfs/status");
    assert_int_equal(vfs_link(mount->vfs, status.inode, root, "new", &entry), -EROFS);
    forget(&status);
    forget(&control);
}

static void between_buckets_nothing_is_renamed_or_linked(void **state) {
    (void)state;
    memory_mount_done(mount);
    mount = memory_mount_new("*", 1000, false);
    root = vfs_root(mount->vfs);
    memory_store_put(memory_server_bucket(mount->server, "photos"), "b", "photo", 5, 4);
    memory_mount_put(mount, "a", "file");
    struct vfs_entry fs = memory_mount_found(mount, "fs"), photos = memory_mount_found(mount, "photos"), entry;
    struct vfs_entry file = memory_mount_found(mount, "fs/a");
    struct handle *handle;
    assert_int_equal(vfs_rename(mount->vfs, fs.inode, "a", photos.inode, "a", 0), -EXDEV);
    assert_int_equal(vfs_link(mount->vfs, file.inode, photos.inode, "a", &entry), -EXDEV);
    assert_int_equal(vfs_mkdir(mount->vfs, root, "new", 0755, &memory_mount_caller, &entry), -EPERM);
    assert_int_equal(exclusive(root, "new", &entry, &handle), -EPERM);
    assert_int_equal(vfs_rmdir(mount->vfs, root, "photos"), -EPERM);
    assert_int_equal(renamed("photos", "x", 0), -EPERM);
    forget(&file);
    forget(&fs);
    forget(&photos);
}

/* ---- removed names ---- */

static void an_unlinked_file_that_was_never_published_stays_for_its_handles(void **state) {
    (void)state;
    struct vfs_entry entry, none;
    struct handle *handle = created("temporary", O_EXCL, "text", &entry);
    assert_int_equal(vfs_unlink(mount->vfs, root, "temporary"), 0);
    assert_int_equal(memory_mount_look_up(mount, "temporary", &none), -ENOENT);
    assert_int_equal(links_of(entry.inode), 0);
    memory_mount_write(mount, handle, 4, " and more");
    memory_mount_expect_text(mount, handle, "text and more");
    struct handle *again = memory_mount_opened_as(mount, entry.inode, O_RDWR); /* by /proc/self/fd */
    memory_mount_write(mount, again, 0, "TEXT");
    vfs_close(mount->vfs, again);
    memory_mount_expect_text(mount, handle, "TEXT and more");
    assert_int_equal(vfs_flush(mount->vfs, handle, &memory_mount_caller), 0);
    assert_int_equal(vfs_link(mount->vfs, entry.inode, root, "new", &none), -ENOENT);
    close_and_forget(handle, entry.inode);
    assert_int_equal(memory_store_puts(mount->memory), 0);
}

static void an_open_file_survives_its_unlink(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "0123456789");
    struct vfs_entry directory = memory_mount_found(mount, "d"), entry = memory_mount_found(mount, "d/file");
    struct handle *handle = memory_mount_opened_as(mount, entry.inode, O_RDWR);
    assert_int_equal(vfs_unlink(mount->vfs, directory.inode, "file"), 0);
    memory_mount_expect_text(mount, handle, "0123456789");
    memory_mount_write(mount, handle, 0, "x");
    memory_mount_expect_text(mount, handle, "x123456789");
    assert_int_equal(links_of(entry.inode), 0);
    close_and_forget(handle, entry.inode);
    expect_nothing_at("d/file");
    assert_int_equal(memory_store_puts(mount->memory), 0);
    struct vfs_entry kept = memory_mount_found(mount, "d"); /* it does not go with its last file */
    assert_ptr_equal(kept.inode, directory.inode);
    vfs_forget(mount->vfs, directory.inode, 2);
}

static void a_file_can_be_made_again_while_the_old_one_is_open(void **state) {
    (void)state;
    struct vfs_entry old, fresh;
    struct handle *before = created("file", O_EXCL, "old", &old);
    assert_int_equal(vfs_unlink(mount->vfs, root, "file"), 0);
    struct handle *after = created("file", O_EXCL, "new", &fresh);
    assert_ptr_not_equal(old.inode, fresh.inode);
    assert_true(old.attributes.st_ino != fresh.attributes.st_ino);
    close_and_forget(after, fresh.inode);
    memory_mount_expect_text(mount, before, "old");
    close_and_forget(before, old.inode);
    memory_mount_expect_stored(mount, "file", "new");
}

static void a_kind_that_does_not_fit_is_not_removed(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "x");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    assert_int_equal(vfs_unlink(mount->vfs, root, "d"), -EISDIR);
    assert_int_equal(vfs_rmdir(mount->vfs, directory.inode, "file"), -ENOTDIR);
    assert_int_equal(vfs_rmdir(mount->vfs, root, "d"), -ENOTEMPTY);
    assert_int_equal(vfs_rmdir(mount->vfs, root, "none"), -ENOENT);
    assert_int_equal(vfs_unlink(mount->vfs, root, "none"), -ENOENT);
    forget(&directory);
}

static void a_directory_with_an_unpublished_file_is_not_empty(void **state) {
    (void)state;
    struct vfs_entry directory = made_directory(root, "d"), other = made_directory(root, "e"), entry;
    struct handle *handle = created_in(directory.inode, "file", O_EXCL, "x", &entry);
    assert_int_equal(vfs_rmdir(mount->vfs, root, "d"), -ENOTEMPTY);
    assert_int_equal(renamed("e", "d", 0), -ENOTEMPTY);
    assert_int_equal(vfs_unlink(mount->vfs, directory.inode, "file"), 0);
    assert_int_equal(vfs_rmdir(mount->vfs, root, "d"), 0);
    assert_int_equal(links_of(directory.inode), 0);
    close_and_forget(handle, entry.inode);
    forget(&directory);
    forget(&other);
    expect_nothing_at("d");
}

static void a_removal_that_failed_removes_nothing(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct handle *handle = memory_mount_opened_as(mount, entry.inode, O_RDWR);
    memory_mount_write(mount, handle, 0, "new");
    faulty_store_fail(&mount->faulty, FAULTY_REMOVE, 1, -ETIMEDOUT);
    assert_int_equal(vfs_unlink(mount->vfs, root, "file"), -ETIMEDOUT);
    assert_int_equal(links_of(entry.inode), 1);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "file", "new");
}

static void what_was_removed_elsewhere_is_gone_here(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "x");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    memory_store_remove(mount->memory, "file");
    assert_int_equal(vfs_unlink(mount->vfs, root, "file"), -ENOENT);
    expect_nothing_at("file");
    forget(&entry);
}

/* ---- renamed names ---- */

static void an_open_file_survives_a_rename_onto_it(void **state) {
    (void)state;
    memory_mount_put(mount, "old", "0123456789");
    struct vfs_entry old = memory_mount_found(mount, "old"), fresh;
    struct handle *reader = memory_mount_opened(mount, old.inode);
    struct handle *writer = created("new", 0, "replacement", &fresh);
    assert_int_equal(vfs_flush(mount->vfs, writer, &memory_mount_caller), 0);
    assert_int_equal(renamed("new", "old", 0), 0);
    memory_mount_expect_text(mount, reader, "0123456789");
    assert_int_equal(links_of(old.inode), 0);
    memory_mount_expect_stored(mount, "old", "replacement");
    expect_nothing_at("new");
    struct vfs_entry again = memory_mount_found(mount, "old");
    assert_ptr_equal(again.inode, fresh.inode);
    memory_mount_write(mount, writer, 11, "!"); /* goes with the file, not with the name */
    close_and_forget(writer, fresh.inode);
    close_and_forget(reader, old.inode);
    forget(&again);
    memory_mount_expect_stored(mount, "old", "replacement!");
    expect_nothing_at("new");
}

static void an_unpublished_file_is_published_by_its_rename(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("part", O_EXCL, "half", &entry);
    assert_int_equal(renamed("part", "whole", 0), 0);
    memory_mount_expect_stored(mount, "whole", "half");
    expect_nothing_at("part");
    memory_mount_write(mount, handle, 4, " and half");
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "whole", "half and half");
    expect_nothing_at("part");
    struct vfs_entry again;
    assert_int_equal(exclusive(root, "part", &again, &handle), 0); /* its claim is gone */
    close_and_forget(handle, again.inode);
}

static void a_rename_whose_publication_fails_renames_nothing(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("part", O_EXCL, "half", &entry);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(renamed("part", "whole", 0), -ETIMEDOUT);
    expect_nothing_at("whole");
    faulty_store_fail(&mount->faulty, FAULTY_RENAME, 1, -EACCES);
    assert_int_equal(renamed("part", "whole", 0), -EACCES);
    expect_nothing_at("whole");
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "part", "half");
}

static void a_rename_onto_an_unpublished_file_drops_that(void **state) {
    (void)state;
    memory_mount_put(mount, "new", "replacement");
    struct vfs_entry entry, other;
    struct handle *handle = created("target", O_EXCL, "draft", &entry);
    assert_int_equal(renamed("new", "target", RENAME_NOREPLACE), -EEXIST);
    faulty_store_fail(&mount->faulty, FAULTY_RENAME, 1, -EACCES);
    assert_int_equal(renamed("new", "target", 0), -EACCES);
    memory_mount_expect_text(mount, handle, "draft"); /* a rename that failed took nothing away */
    other = memory_mount_found(mount, "target");
    assert_ptr_equal(other.inode, entry.inode);
    forget(&other);
    assert_int_equal(renamed("new", "target", 0), 0);
    memory_mount_expect_text(mount, handle, "draft");
    assert_int_equal(links_of(entry.inode), 0);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "target", "replacement");
    memory_mount_expect_file(mount, "target", "replacement");
}

static void a_rename_that_must_not_replace_does_not(void **state) {
    (void)state;
    memory_mount_put(mount, "a", "a");
    memory_mount_put(mount, "b", "b");
    assert_int_equal(renamed("a", "b", RENAME_NOREPLACE), -EEXIST);
    assert_int_equal(renamed("a", "c", RENAME_NOREPLACE), 0);
    assert_int_equal(renamed("a", "d", 0), -ENOENT);
    assert_int_equal(renamed("b", "c", RENAME_NOREPLACE | RENAME_EXCHANGE), -EEXIST);
    assert_int_equal(renamed("b", "c", RENAME_WHITEOUT), -EINVAL);
    assert_int_equal(renamed("b", "b", 0), 0);
    memory_mount_expect_file(mount, "c", "a");
    memory_mount_expect_file(mount, "b", "b");
}

static void an_exchange_gives_each_the_other_name(void **state) {
    (void)state;
    memory_mount_put(mount, "a", "a");
    memory_mount_put(mount, "d/file", "below");
    struct vfs_entry one = memory_mount_found(mount, "a"), directory = memory_mount_found(mount, "d"), draft;
    assert_int_equal(renamed("a", "none", RENAME_EXCHANGE), -ENOENT);
    assert_int_equal(renamed("a", "d", RENAME_EXCHANGE), 0);
    memory_mount_expect_file(mount, "d", "a");
    memory_mount_expect_file(mount, "a/file", "below");
    struct vfs_entry again = memory_mount_found(mount, "a");
    assert_ptr_equal(again.inode, directory.inode);
    forget(&again);
    struct handle *handle = created("draft", O_EXCL, "draft", &draft); /* published, since both must be there */
    assert_int_equal(renamed("draft", "d", RENAME_EXCHANGE), 0);
    memory_mount_expect_stored(mount, "d", "draft");
    memory_mount_expect_stored(mount, "draft", "a");
    memory_mount_write(mount, handle, 0, "DRAFT");
    close_and_forget(handle, draft.inode);
    memory_mount_expect_stored(mount, "d", "DRAFT");
    memory_mount_expect_stored(mount, "draft", "a");
    handle = created("second", O_EXCL, "second", &draft);
    assert_int_equal(renamed("d", "second", RENAME_EXCHANGE), 0);
    close_and_forget(handle, draft.inode);
    memory_mount_expect_stored(mount, "d", "second");
    memory_mount_expect_stored(mount, "second", "DRAFT");
    forget(&one);
    forget(&directory);
}

static void files_go_with_their_directory(void **state) {
    (void)state;
    struct vfs_entry directory = made_directory(root, "d"), stored, fresh;
    memory_mount_put(mount, "d/stored", "0123456789");
    stored = memory_mount_found(mount, "d/stored");
    struct handle *writer = memory_mount_opened_as(mount, stored.inode, O_RDWR);
    struct handle *creator = created_in(directory.inode, "fresh", O_EXCL, "fresh", &fresh);
    memory_mount_write(mount, writer, 0, "x");
    assert_int_equal(renamed("d", "e", 0), 0);
    memory_mount_expect_file(mount, "e/stored", "x123456789");
    memory_mount_expect_file(mount, "e/fresh", "fresh");
    close_and_forget(writer, stored.inode);
    close_and_forget(creator, fresh.inode);
    memory_mount_expect_stored(mount, "e/stored", "x123456789");
    memory_mount_expect_stored(mount, "e/fresh", "fresh");
    expect_nothing_at("d");
    assert_int_equal(vfs_rename(mount->vfs, root, "e", directory.inode, "below", 0), -EINVAL);
    forget(&directory);
}

static void a_directory_stays_when_its_last_file_is_renamed_away(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "x");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    assert_int_equal(vfs_rename(mount->vfs, directory.inode, "file", root, "file", 0), 0);
    struct vfs_entry again = memory_mount_found(mount, "d");
    assert_ptr_equal(again.inode, directory.inode);
    memory_mount_expect_file(mount, "file", "x");
    vfs_forget(mount->vfs, directory.inode, 2);
    assert_int_equal(vfs_rmdir(mount->vfs, root, "d"), 0);
}

/* ---- crossings ---- */

struct deed {
    pthread_t thread;
    struct handle *handle;
    struct inode *parent;
    const char *name;
    struct vfs_entry entry;
    atomic_bool done;
    int result;
};

static void *do_flush(void *argument) {
    struct deed *deed = argument;
    deed->result = vfs_flush(mount->vfs, deed->handle, &memory_mount_caller);
    deed->done = true;
    return NULL;
}

static void *do_unlink(void *argument) {
    struct deed *deed = argument;
    deed->result = vfs_unlink(mount->vfs, deed->parent, deed->name);
    deed->done = true;
    return NULL;
}

static void *do_look_up(void *argument) {
    struct deed *deed = argument;
    deed->result = vfs_lookup(mount->vfs, deed->parent, deed->name, &deed->entry);
    deed->done = true;
    return NULL;
}

static void *do_link(void *argument) {
    struct deed *deed = argument;
    deed->result = vfs_link(mount->vfs, deed->parent, root, deed->name, &deed->entry);
    deed->done = true;
    return NULL;
}

static void start(struct deed *deed, void *(*what)(void *)) {
    assert_int_equal(pthread_create(&deed->thread, NULL, what, deed), 0);
}

static void expect_done(struct deed *deed) {
    pthread_join(deed->thread, NULL);
    assert_int_equal(deed->result, 0);
}

static void an_unlink_waits_for_a_publication(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, "text", &entry);
    struct deed flush = {.handle = handle}, unlink = {.parent = root, .name = "file"};
    struct gate *gate = &mount->faulty.gates[FAULTY_PUT];
    gate_shut(gate);
    start(&flush, do_flush);
    gate_await(gate, 1);
    start(&unlink, do_unlink);
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    assert_false(unlink.done); /* else the file would come back */
    gate_open(gate);
    expect_done(&flush);
    expect_done(&unlink);
    expect_nothing_at("file");
    memory_mount_expect_text(mount, handle, "text");
    close_and_forget(handle, entry.inode);
    expect_nothing_at("file");
}

static void a_lookup_that_crosses_a_rename_of_its_directory_finds_the_file(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "x");
    struct vfs_entry directory = memory_mount_found(mount, "d"), target = made_directory(root, "e");
    struct deed look_up = {.parent = directory.inode, .name = "file"};
    struct gate *gate = &mount->faulty.gates[FAULTY_LOOKUP];
    gate_shut(gate);
    start(&look_up, do_look_up);
    gate_await(gate, 1);
    assert_int_equal(renamed("d", "e", 0), 0); /* both names are known: no lookup */
    gate_open(gate);
    expect_done(&look_up);
    forget(&look_up.entry);
    forget(&directory);
    forget(&target);
}

static void a_lookup_that_crosses_a_creation_finds_it(void **state) {
    (void)state;
    struct deed look_up = {.parent = root, .name = "file"};
    struct gate *gate = &mount->faulty.gates[FAULTY_LOOKUP];
    struct vfs_entry entry;
    gate_shut(gate);
    start(&look_up, do_look_up);
    gate_await(gate, 1);
    struct handle *handle = created("file", 0, "text", &entry);
    gate_open(gate);
    pthread_join(look_up.thread, NULL);
    if (look_up.result == 0) {
        assert_ptr_equal(look_up.entry.inode, entry.inode);
        forget(&look_up.entry);
    }
    struct vfs_entry again = memory_mount_found(mount, "file"); /* whatever it was told, the name leads here */
    assert_ptr_equal(again.inode, entry.inode);
    forget(&again);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "file", "text");
}

static void a_link_and_a_publication_do_not_cross(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct handle *handle = memory_mount_opened_as(mount, entry.inode, O_RDWR);
    struct deed link = {.parent = entry.inode, .name = "link"}, flush = {.handle = handle};
    struct gate *gate = &mount->faulty.gates[FAULTY_LINK];
    gate_shut(gate);
    start(&link, do_link);
    gate_await(gate, 1);
    start(&flush, do_flush);
    gate_open(gate);
    expect_done(&link);
    expect_done(&flush);
    memory_mount_write(mount, handle, 0, "new");
    assert_int_equal(vfs_flush(mount->vfs, handle, &memory_mount_caller), 0);
    memory_mount_expect_text(mount, handle, "new");
    assert_int_equal(links_of(entry.inode), 2);
    forget(&link.entry);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_file(mount, "link", "new");
}

/* ---- hard links ---- */

static void the_names_of_a_file_share_one_inode(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    memory_mount_put(mount, "taken", "x");
    struct vfs_entry file = memory_mount_found(mount, "file"), link, again;
    assert_int_equal(vfs_link(mount->vfs, file.inode, root, "taken", &link), -EEXIST);
    assert_int_equal(vfs_link(mount->vfs, file.inode, root, "link", &link), 0);
    assert_ptr_equal(link.inode, file.inode);
    assert_int_equal(link.attributes.st_nlink, 2);
    again = memory_mount_found(mount, "link");
    assert_ptr_equal(again.inode, file.inode);
    forget(&again);
    struct handle *handle = memory_mount_opened_as(mount, link.inode, O_RDWR);
    memory_mount_write(mount, handle, 0, "new");
    memory_mount_expect_file(mount, "file", "new"); /* before it is published, too */
    assert_int_equal(vfs_flush(mount->vfs, handle, &memory_mount_caller), 0);
    memory_mount_expect_stored(mount, "file", "new");
    memory_mount_expect_stored(mount, "link", "new");
    assert_int_equal(vfs_unlink(mount->vfs, root, "file"), 0);
    assert_int_equal(links_of(file.inode), 1);
    memory_mount_write(mount, handle, 0, "NEW");
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, file.inode, 2);
    memory_mount_expect_stored(mount, "link", "NEW");
    expect_nothing_at("file");
}

static void names_that_are_found_share_one_inode_too(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry file = memory_mount_found(mount, "file"), link;
    assert_int_equal(vfs_link(mount->vfs, file.inode, root, "link", &link), 0);
    vfs_forget(mount->vfs, file.inode, 2);
    link = memory_mount_found(mount, "link");
    file = memory_mount_found(mount, "file");
    assert_ptr_equal(link.inode, file.inode);
    assert_int_equal(renamed("link", "file", 0), 0); /* POSIX: both stay */
    memory_mount_expect_stored(mount, "link", "old");
    assert_int_equal(renamed("link", "other", 0), 0);
    memory_mount_expect_file(mount, "other", "old");
    memory_mount_expect_file(mount, "file", "old");
    vfs_forget(mount->vfs, file.inode, 2);
}

static void an_unpublished_file_is_published_by_its_link(void **state) {
    (void)state;
    struct vfs_entry file, link;
    struct handle *handle = created("file", O_EXCL, "text", &file);
    assert_int_equal(vfs_link(mount->vfs, file.inode, root, "link", &link), 0);
    memory_mount_expect_stored(mount, "link", "text");
    forget(&link);
    close_and_forget(handle, file.inode);
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_name_is_claimed_until_its_file_is_published_or_gone),
        TEST(a_failed_creation_leaves_nothing),
        TEST(a_regular_file_of_mknod_is_published_at_once),
        TEST(what_is_no_file_is_made_as_it_is_asked_for),
        TEST(what_is_made_in_a_setgid_directory_has_its_group),
        TEST(the_control_directory_and_buckets_are_not_changed),
        TEST(between_buckets_nothing_is_renamed_or_linked),
        TEST(an_unlinked_file_that_was_never_published_stays_for_its_handles),
        TEST(an_open_file_survives_its_unlink),
        TEST(a_file_can_be_made_again_while_the_old_one_is_open),
        TEST(a_kind_that_does_not_fit_is_not_removed),
        TEST(a_directory_with_an_unpublished_file_is_not_empty),
        TEST(a_removal_that_failed_removes_nothing),
        TEST(what_was_removed_elsewhere_is_gone_here),
        TEST(an_open_file_survives_a_rename_onto_it),
        TEST(an_unpublished_file_is_published_by_its_rename),
        TEST(a_rename_whose_publication_fails_renames_nothing),
        TEST(a_rename_onto_an_unpublished_file_drops_that),
        TEST(a_rename_that_must_not_replace_does_not),
        TEST(an_exchange_gives_each_the_other_name),
        TEST(files_go_with_their_directory),
        TEST(a_directory_stays_when_its_last_file_is_renamed_away),
        TEST(an_unlink_waits_for_a_publication),
        TEST(a_lookup_that_crosses_a_rename_of_its_directory_finds_the_file),
        TEST(a_lookup_that_crosses_a_creation_finds_it),
        TEST(a_link_and_a_publication_do_not_cross),
        TEST(the_names_of_a_file_share_one_inode),
        TEST(names_that_are_found_share_one_inode_too),
        TEST(an_unpublished_file_is_published_by_its_link),
    };
    return cmocka_run_group_tests_name("vfs_namespace", tests, be_quiet, NULL);
}
