// SPDX-License-Identifier: Apache-2.0
/* The changes that a store in memory can make: the operations of fs/store/store.h, under their names there. */
#ifndef TESTS_FAKE_MEMORY_CHANGES_H
#define TESTS_FAKE_MEMORY_CHANGES_H

#include "fs/store/store.h"

/* memory_changes.c */
int memory_put(struct store *store, const struct store_put *put, struct revision **ret_revision);
int memory_reserve(struct store *store, const char *path, struct store_lease **ret_lease);
struct store_lease *memory_release(struct store *store, struct store_lease *lease);
int memory_make(struct store *store, const char *path, const struct store_entry *node);
int memory_link(struct store *store, const struct store_object *object, const char *path,
                struct revision **ret_revision);
int memory_keep_directory(struct store *store, const char *path);
int memory_remove(struct store *store, const struct store_object *object);
int memory_remove_directory(struct store *store, const char *path);
int memory_keep(struct store *store, struct revision *const *open, uint32_t count);
int memory_tidy(struct store *store, struct revision *const *open, uint32_t count);
/* memory_history.c */
int memory_history(struct store *store, const char *path, const char *id, uint32_t most, struct store_past **ret_list,
                   uint32_t *ret_count);
int memory_is_retired(struct store *store, const char *path);
/* memory_uploads.c */
int memory_upload_begin(struct store *store, const struct revision *base, const struct store_source *source,
                        int64_t start, struct store_upload **ret_upload);
void memory_upload_offer(struct store *store, struct store_upload *upload, int64_t end);
struct store_upload *memory_upload_end(struct store *store, struct store_upload *upload);
/* memory_rename.c */
int memory_rename(struct store *store, const struct store_rename *rename);
/* memory_attributes.c */
int memory_set_attributes(struct store *store, const struct store_object *object, const struct attributes *changes,
                          struct revision **ret_revision);
int memory_xattrs(struct store *store, const struct store_object *object, struct store_xattr **ret_first);
int memory_xattrs_of(struct store *store, struct revision *const *revisions, uint32_t count, struct store_xattr **ret_firsts);
int memory_set_xattr(struct store *store, const struct store_object *object, const char *name, const void *value,
                     size_t size, enum store_xattr_how how);

#endif
