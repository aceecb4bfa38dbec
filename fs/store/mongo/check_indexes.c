// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "fs/store/mongo/check.h"
#include "fs/store/mongo/indexes.h"

int check_indexes(struct checks *checks, const struct check_listener *listener) {
    const char *missing[2];
    unsigned count = 0;
    int result = indexes_missing(((struct bucket_checks *)checks)->bucket, missing, &count);
    for (unsigned i = 0; result == 0 && i < count; i++) {
        const struct check_finding finding = {
            .class = CHECK_INDEXES, .count = 1, .name = missing[i], .name_size = strlen(missing[i]),
            .detail = "every access reads a whole collection; mount once with -o create_indexes"};
        listener->found(listener->context, &finding);
    }
    return result;
}
