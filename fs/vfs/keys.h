// SPDX-License-Identifier: Apache-2.0
/* Keys of a directory's entries, in their order and numbered from 0: what a position in its listing means.
 *
 * Threads: keys_add() by who made them, until another has a reference; from then on they do not change, and all else is
 *          for any thread.
 * Memory: counted references; their own length and 8 bytes each. */
#ifndef FS_VFS_KEYS_H
#define FS_VFS_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/base/cleanup.h"

struct keys;

/* None. NULL without memory. */
struct keys *keys_new(void);
struct keys *keys_ref(struct keys *keys);
/* Takes NULL, returns NULL. */
struct keys *keys_unref(struct keys *keys);
/* Whether others have a reference. */
bool keys_are_shared(const struct keys *keys);
/* Behind the others, and greater. 0 or -ENOMEM. */
int keys_add(struct keys *keys, const char *key);
uint64_t keys_count(const struct keys *keys);
/* Lent, until the next keys_add(). */
const char *keys_at(const struct keys *keys, uint64_t number);
/* Whether the first `size` bytes of `key` are one of them. */
bool keys_have(const struct keys *keys, const char *key, size_t size);

DEFINE_CLEANUP(struct keys, keys_unref)

#endif
