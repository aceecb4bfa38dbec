// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/marks.h"

#include <string.h>

struct mark mark_of(int64_t length, const struct attributes *attributes) {
    return (struct mark){.length = length, .mtime_ns = attributes->mtime_ns, .ctime_ns = attributes->ctime_ns};
}

bool mark_is(const struct mark *mark, const struct attributes *file, const struct revision *revision) {
    const struct attributes *found = &revision->attributes;
    return !revision->damage && revision->length == mark->length && found->mtime_ns == mark->mtime_ns &&
           found->ctime_ns == mark->ctime_ns && found->has & file->has & ATTRIBUTES_FILE &&
           memcmp(found->file, file->file, ATTRIBUTES_FILE_SIZE) == 0;
}

void marks_remove(struct marks *marks, const struct mark *mark) {
    unsigned count = 0;
    for (unsigned i = 0; i < marks->count; i++)
        if (memcmp(&marks->list[i], mark, sizeof *mark) != 0)
            marks->list[count++] = marks->list[i];
    marks->count = count;
}

void marks_add(struct marks *marks, const struct mark *mark) {
    marks_remove(marks, mark);
    if (marks->count == MARKS_MOST)
        memmove(marks->list, marks->list + 1, --marks->count * sizeof *marks->list);
    marks->list[marks->count++] = *mark;
}

bool marks_have(const struct marks *marks, const struct attributes *file, const struct revision *revision) {
    for (unsigned i = 0; i < marks->count; i++)
        if (mark_is(&marks->list[i], file, revision))
            return true;
    return false;
}
