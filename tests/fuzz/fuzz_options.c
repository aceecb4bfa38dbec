// SPDX-License-Identifier: Apache-2.0
/* Options: any text is taken or refused with one line. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "fs/options.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    cleanup_free char *text = malloc(size + 1), *error = NULL;
    struct options options;
    CHECK(text && options_init(&options) == 0);
    memcpy(text, data, size);
    text[size] = '\0';
    int result = options_parse(&options, text, &error);
    CHECK(result == 0 ? !error : result == -EINVAL && error);
    if (result == 0) {
        CHECK(options.bucket && *options.bucket);
        CHECK(options.cache_size >= 1 << 20 && options.timeout_ms >= 100);
        CHECK(options.uid >= OPTIONS_OWNER && options.uid < UINT32_MAX && options.gid >= OPTIONS_OWNER && options.gid < UINT32_MAX);
        CHECK(options.umask >= 0 && options.umask <= 0777 && options.consistency.trust_ms >= 0);
        CHECK((unsigned)options.log_level <= LOG_LEVEL_DEBUG);
    }
    options_done(&options);
    return 0;
}
