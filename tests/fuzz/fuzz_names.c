// SPDX-License-Identifier: Apache-2.0
/* Names: what decodes encodes back to itself, and the other way round. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "fs/store/names.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void try_stored(const char *stored, size_t size) {
    char name[NAMES_COMPONENT_MOST + 1], again[NAMES_STORED_MOST + 1];
    if (names_decode(stored, size, name))
        return;
    CHECK(strlen(name) > 0 && strlen(name) <= NAMES_COMPONENT_MOST && !strchr(name, '/'));
    CHECK(strcmp(name, ".") != 0 && strcmp(name, "..") != 0);
    CHECK(names_encode(name, again) == 0);
    CHECK(strlen(again) == size && memcmp(again, stored, size) == 0);
}

static void try_name(const char *name) {
    char stored[NAMES_STORED_MOST + 1], back[NAMES_COMPONENT_MOST + 1];
    int result = names_encode(name, stored);
    CHECK(result == 0 || result == -EINVAL || result == -ENAMETOOLONG);
    if (result == 0) {
        CHECK(names_decode(stored, strlen(stored), back) == 0);
        CHECK(strcmp(back, name) == 0);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    char *exact = malloc(size), *text = malloc(size + 1); /* of exactly this size, so that reading beyond is seen */
    CHECK((exact || !size) && text);
    if (size)
        memcpy(exact, data, size);
    memcpy(text, data, size);
    text[size] = '\0';
    try_stored(exact, size);
    try_name(text);
    bool path = names_is_path(exact, size);
    size_t skipped = names_skip_spelling(exact, size);
    CHECK(skipped <= size && names_first_component(exact, size) <= size);
    CHECK(!path || (size > skipped && !memchr(exact, '\0', size) && exact[size - 1] != '/'));
    free(exact);
    free(text);
    return 0;
}
