// SPDX-License-Identifier: Apache-2.0
/* The journal of systemd, told in its own protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/): a message is fields, by which
 * it is found again. One datagram each; libsystemd would do the same, and bring libgcrypt, liblz4, liblzma and libcap along.
 *
 * What it is not: the log (log.h), nor the journal of unstored content (cache/journal.h).
 *
 * Threads: any. Memory: none kept. Errors: 0 or -errno; -ENOENT and -ECONNREFUSED: there is no journal here. */
#ifndef CACHE_BASE_JOURNAL_SOCKET_H
#define CACHE_BASE_JOURNAL_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

#define JOURNAL_SOCKET_PATH "/run/systemd/journal/socket"

enum { JOURNAL_FIELDS_MOST = 16 };

/* The name is of capitals, digits and `_`; the value may be anything. */
struct journal_field {
    const char *name, *value;
};

/* Does not wait: -EAGAIN, if the journal does not keep up. `count` is JOURNAL_FIELDS_MOST at the most. */
int journal_socket_send(const struct journal_field *fields, size_t count);
/* Whether the journal reads what is written to this descriptor, as systemd tells each service of its stderr. */
bool journal_socket_reads(int fd);

#endif
