// SPDX-License-Identifier: Apache-2.0
#include "cache/base/journal_socket.h"

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PARTS = 5 }; /* of a field */

static struct iovec part(const void *bytes, size_t size) {
    return (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
}

/* "NAME=value\n", or "NAME\n", the size in 8 bytes, "value\n" where a new line would end it. Returns how many parts. */
static size_t put(struct iovec parts[PARTS], const struct journal_field *field, uint64_t *size) {
    bool binary = strchr(field->value, '\n');
    size_t count = 0;
    *size = htole64(strlen(field->value));
    parts[count++] = part(field->name, strlen(field->name));
    parts[count++] = part(binary ? "\n" : "=", 1);
    if (binary)
        parts[count++] = part(size, sizeof *size);
    parts[count++] = part(field->value, strlen(field->value));
    parts[count++] = part("\n", 1);
    return count;
}

int journal_socket_send(const struct journal_field *fields, size_t count) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET_PATH};
    struct iovec parts[JOURNAL_FIELDS_MOST * PARTS];
    uint64_t sizes[JOURNAL_FIELDS_MOST];
    struct msghdr message = {.msg_name = &address, .msg_namelen = sizeof address, .msg_iov = parts};
    for (size_t i = 0; i < count && i < JOURNAL_FIELDS_MOST; i++)
        message.msg_iovlen += put(parts + message.msg_iovlen, &fields[i], &sizes[i]);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 || sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
    if (fd >= 0)
        close(fd);
    return result;
}

bool journal_socket_reads(int fd) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat here;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(fd, &here) == 0 &&
           here.st_dev == device && here.st_ino == inode;
}
