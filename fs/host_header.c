// SPDX-License-Identifier: Apache-2.0
#include "fs/host_header.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { HOST_MOST = 255 };

static bool is_port(const char *text) {
    return !*text || (*text == ':' && text[1] && strspn(text + 1, "0123456789") == strlen(text + 1));
}

bool host_header_is_ours(const char *header, const char *chosen) {
    bool bracketed = header && *header == '[';
    const char *start = header ? header + bracketed : "", *end = start + strcspn(start, bracketed ? "]" : ":");
    size_t size = (size_t)(end - start);
    char host[HOST_MOST + 1];
    struct in6_addr address;
    if (!size || size > HOST_MOST || (bracketed && *end != ']') || !is_port(end + bracketed))
        return false;
    memcpy(host, start, size);
    host[size] = '\0';
    if (bracketed)
        return inet_pton(AF_INET6, host, &address) == 1;
    return inet_pton(AF_INET, host, &address) == 1 || strcasecmp(host, "localhost") == 0 ||
           (chosen && strcasecmp(host, chosen) == 0);
}
