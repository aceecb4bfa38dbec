// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/runs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/check.h"

void runs_done(struct runs *runs) {
    free(runs->list);
    memset(runs, 0, sizeof *runs);
}

static int make_room(struct runs *runs) {
    if (runs->count < runs->room)
        return 0;
    uint32_t room = runs->room ? 2 * runs->room : 16;
    struct upload_run *list = realloc(runs->list, room * sizeof *list);
    if (!list)
        return -ENOMEM;
    runs->list = list;
    runs->room = room;
    return 0;
}

static uint32_t end_of(const struct upload_run *run) {
    return run->first + run->count;
}

/* Mostly behind all that are there, or close to the last. */
int runs_add(struct runs *runs, uint32_t first, uint32_t count) {
    uint32_t at = runs->count;
    while (at > 0 && runs->list[at - 1].first > first)
        at--;
    struct upload_run *before = at > 0 ? &runs->list[at - 1] : NULL;
    struct upload_run *behind = at < runs->count ? &runs->list[at] : NULL;
    CHECK(count > 0 && (!before || end_of(before) <= first) && (!behind || first + count <= behind->first));
    bool joins_before = before && end_of(before) == first, joins_behind = behind && first + count == behind->first;
    if (joins_before)
        before->count += count;
    else if (joins_behind)
        *behind = (struct upload_run){first, count + behind->count};
    if (joins_before && joins_behind) {
        before->count += behind->count;
        memmove(behind, behind + 1, (--runs->count - at) * sizeof *behind);
    }
    if (joins_before || joins_behind)
        return 0;
    if (make_room(runs))
        return -ENOMEM;
    memmove(runs->list + at + 1, runs->list + at, (runs->count++ - at) * sizeof *runs->list);
    runs->list[at] = (struct upload_run){first, count};
    return 0;
}

int runs_add_all(struct runs *runs, const struct runs *others) {
    struct runs all = {0};
    uint32_t one = 0, other = 0;
    int result = 0;
    while (result == 0 && (one < runs->count || other < others->count)) {
        bool first = other == others->count || (one < runs->count && runs->list[one].first < others->list[other].first);
        const struct upload_run *run = first ? &runs->list[one++] : &others->list[other++];
        result = runs_add(&all, run->first, run->count);
    }
    if (result) {
        runs_done(&all);
        return result;
    }
    runs_done(runs);
    *runs = all;
    return 0;
}

int64_t runs_chunks(const struct runs *runs) {
    int64_t chunks = 0;
    for (uint32_t i = 0; i < runs->count; i++)
        chunks += runs->list[i].count;
    return chunks;
}
