// SPDX-License-Identifier: Apache-2.0
/* The rules of names: how GridFS filenames and POSIX paths stand for each other. The one place that knows them.
 *
 * - `/` separates directories. One leading `/` or `./` counts as absent: "a/b", "/a/b" and "./a/b" are spellings of
 *   one path. Paths in this program are written without any, the root is "".
 * - A component is 1 to 255 bytes, not `.` or `..`, without NUL. A filename with any other component ("a//b", "a/",
 *   "../a") cannot be a path: it is shown under .gridfs/id only.
 * - `.gridfs` at the root is the mount's own.
 * - GridFS names are UTF-8, POSIX names are bytes. A byte 0xNN (80 to FF) that is not part of valid UTF-8 is stored as
 *   the private-use character U+EFNN; a genuine U+EF80 to U+EFFF as the escapes of its three bytes. So storing is
 *   reversible, and a stored name that storing could not have made is not a path.
 *
 * Pure functions: no state, any thread. "Stored" is the GridFS form of a component or path, "name" the POSIX form. */
#ifndef FS_STORE_NAMES_H
#define FS_STORE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

enum {
    NAMES_COMPONENT_MOST = 255,                      /* bytes of a POSIX name */
    NAMES_STORED_MOST = 3 * NAMES_COMPONENT_MOST,    /* bytes of its stored form */
    NAMES_SPELLINGS = 3,
};

#define NAMES_CONTROL ".gridfs"

/* The prefixes that count as absent. */
extern const char *const names_spellings[NAMES_SPELLINGS];

/* The POSIX name of a stored component, NUL-terminated. 0, or -EINVAL when it has none. */
int names_decode(const char *stored, size_t size, char ret_name[NAMES_COMPONENT_MOST + 1]);
/* The stored form of a POSIX name. 0, or -EINVAL ("", ".", "..", with "/"), or -ENAMETOOLONG. */
int names_encode(const char *name, char ret_stored[NAMES_STORED_MOST + 1]);
/* The stored form of a symlink's target, whose bytes are escaped like names, and back; to be freed, NULL without memory.
 * A target that storing could not have made is taken as it is. */
char *names_encode_target(const char *target);
char *names_decode_target(const char *stored);
/* Where the path in a filename starts: behind a leading "/" or "./". */
size_t names_skip_spelling(const char *filename, size_t size);
/* How much of a filename is a path, from its start: all of it, what lies above a component that is none and is a directory
 * by it all the same, or nothing (0). */
size_t names_path_size(const char *filename, size_t size);
/* Whether a whole filename is a path, so that it can be shown. */
bool names_is_path(const char *filename, size_t size);
/* The size of the first component: up to "/" or the end. */
size_t names_first_component(const char *path, size_t size);

#endif
