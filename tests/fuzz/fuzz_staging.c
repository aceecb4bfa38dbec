// SPDX-License-Identifier: Apache-2.0
/* A staged file under any sequence of operations, with next to no memory: it is what a plain array becomes. */
#include <string.h>

#include "cache/base/check.h"
#include "tests/fake/staged_model.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

struct bytes {
    const unsigned char *at;
    size_t left;
};

/* As many bytes as the limit needs. */
static uint64_t below(void *context, uint64_t limit) {
    struct bytes *bytes = context;
    uint64_t number = 0;
    for (uint64_t rest = limit - 1; rest && bytes->left; rest >>= 8, bytes->left--)
        number = number << 8 | *bytes->at++;
    return number % limit;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    struct bytes bytes = {.at = data, .left = size};
    struct budget budget;
    struct staging *staging = NULL;
    budget_init(&budget, SIZE_MAX);
    size_t share = 200000 * below(&bytes, 3);
    CHECK(staging_new(&budget, share, "/tmp", &staging) == 0);
    int64_t most = below(&bytes, 2) ? 300000 : 10000;
    struct staged_model *model = staged_model_new(staging, most, (struct model_numbers){&bytes, below});
    while (bytes.left)
        staged_model_step(model);
    staged_model_compare(model);
    staged_model_free(model);
    CHECK(staging_used(staging) == 0);
    staging_free(staging);
    CHECK(budget_used(&budget) == 0);
    return 0;
}
