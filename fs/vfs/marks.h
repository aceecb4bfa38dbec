// SPDX-License-Identifier: Apache-2.0
/* By what a revision is known again that was put, but of which no answer told that it arrived.
 *
 * Of a file that is written on while puts of it fail there may be several such; the last ones are remembered.
 * Pure functions on plain values. */
#ifndef FS_VFS_MARKS_H
#define FS_VFS_MARKS_H

#include <stdbool.h>

#include "fs/store/revision.h"

enum { MARKS_MOST = 8 };

struct mark {
    int64_t length, mtime_ns, ctime_ns;
};

struct marks {
    unsigned count;
    struct mark list[MARKS_MOST];
};

struct mark mark_of(int64_t length, const struct attributes *attributes);
/* Whether a revision is that of this file. */
bool mark_is(const struct mark *mark, const struct attributes *file, const struct revision *revision);
/* Once, however often that was tried. */
void marks_add(struct marks *marks, const struct mark *mark);
void marks_remove(struct marks *marks, const struct mark *mark);
bool marks_have(const struct marks *marks, const struct attributes *file, const struct revision *revision);

#endif
