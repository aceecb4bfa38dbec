// SPDX-License-Identifier: Apache-2.0
/* How a record of the journal is written: what stands before its facts and its parts.
 *
 *     magic, version, sizes, SHA-256 | facts | part, its bytes | part | part, its bytes ...
 *
 * Parts are in order, apart, and within the length of the file. The SHA-256 is that of the whole record with zeros in
 * its own place.
 *
 * Pure functions: no state, any thread. Fuzzed (tests/fuzz).
 * Errors: 0, -EBADMSG: this is no record, or not what was written; -EPROTONOSUPPORT: another version wrote it. */
#ifndef CACHE_JOURNAL_CODEC_H
#define CACHE_JOURNAL_CODEC_H

#include <stdint.h>

#include "cache/staging.h"

enum {
    JOURNAL_VERSION = 1,
    JOURNAL_CHECKSUM = 32,
    JOURNAL_HEADER = 64, /* bytes */
    JOURNAL_PART = 24,
    JOURNAL_FACTS_MOST = 48 << 20, /* an _id may be of any size that a document may have */
};

struct journal_header {
    uint32_t facts_size;
    int64_t length; /* of the file */
    int64_t size;   /* of the record */
    unsigned char checksum[JOURNAL_CHECKSUM];
};

void journal_header_encode(const struct journal_header *header, unsigned char ret_bytes[JOURNAL_HEADER]);
/* `size`: that of the file it stands in. */
int journal_header_decode(const unsigned char bytes[JOURNAL_HEADER], int64_t size, struct journal_header *ret_header);
void journal_part_encode(const struct staged_part *part, unsigned char ret_bytes[JOURNAL_PART]);
/* One that follows `end`, in a file of this length. */
int journal_part_decode(const unsigned char bytes[JOURNAL_PART], int64_t end, int64_t length,
                        struct staged_part *ret_part);

#endif
