// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/member.h"

#include <stdlib.h>
#include <string.h>

int64_t member_number(const char *json, const char *start) {
    const char *at = strstr(json, start);
    return at ? strtoll(at + strlen(start), NULL, 10) : 0;
}

char *member_string(const char *json, const char *start) {
    const char *at = strstr(json, start);
    size_t size = at ? strcspn(at += strlen(start), "\"\\") : 0;
    return size && at[size] == '"' ? strndup(at, size) : NULL;
}
