// SPDX-License-Identifier: Apache-2.0
/* The readahead policy under any sequence of reads: plans lie in the file, and its facts hold. */
#include <string.h>

#include "cache/base/check.h"
#include "cache/readahead.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct bytes {
    const unsigned char *at;
    size_t left;
};

/* A number of up to eight bytes in [0, limit). */
static int64_t number_below(struct bytes *bytes, int64_t limit) {
    uint64_t number = 0;
    size_t size = bytes->left ? *bytes->at % 8 + 1u : 0;
    size = size < bytes->left ? size : bytes->left;
    memcpy(&number, bytes->at, size);
    bytes->at += size;
    bytes->left -= size;
    return (int64_t)((number >> 3) % (uint64_t)limit);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    struct bytes bytes = {.at = data, .left = size};
    int64_t chunk_size = 1 + number_below(&bytes, INT32_MAX);
    int64_t length = 1 + number_below(&bytes, chunk_size * INT32_MAX - 1);
    int64_t chunks = (length - 1) / chunk_size + 1, offset = 0;
    struct readahead readahead;
    readahead_init(&readahead, length, chunk_size, number_below(&bytes, 4 * (int64_t)READAHEAD_MOST));
    while (bytes.left) {
        if (*bytes.at & 1 || offset >= length)
            offset = number_below(&bytes, length);
        int64_t rest = length - offset, most = rest < 1 << 20 ? rest : 1 << 20;
        int64_t part = 1 + number_below(&bytes, most);
        struct readahead_plan plan = readahead_observe(&readahead, offset, part);
        CHECK(plan.stream < READAHEAD_STREAMS);
        CHECK(!plan.count || (int64_t)plan.first + plan.count <= chunks);
        if (plan.count && bytes.left && *bytes.at & 2)
            readahead_fell_short(&readahead, &plan, plan.first + (uint32_t)number_below(&bytes, plan.count));
        readahead_check(&readahead);
        offset += part;
    }
    return 0;
}
