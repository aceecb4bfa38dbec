// SPDX-License-Identifier: Apache-2.0
#include "cache/journal_codec.h"

#include <errno.h>
#include <string.h>

#include "cache/base/wire.h"

static const char magic[8] = {'g', 'm', 'r', 'e', 'c', 'o', 'r', 'd'};

void journal_header_encode(const struct journal_header *header, unsigned char ret_bytes[JOURNAL_HEADER]) {
    struct wire_writer writer = {.bytes = ret_bytes};
    wire_put(&writer, magic, sizeof magic);
    wire_put_32(&writer, JOURNAL_VERSION);
    wire_put_32(&writer, header->facts_size);
    wire_put_64(&writer, (uint64_t)header->length);
    wire_put_64(&writer, (uint64_t)header->size);
    wire_put(&writer, header->checksum, sizeof header->checksum);
    _Static_assert(sizeof magic + 4 + 4 + 8 + 8 + JOURNAL_CHECKSUM == JOURNAL_HEADER, "the header has gaps");
}

int journal_header_decode(const unsigned char bytes[JOURNAL_HEADER], int64_t size, struct journal_header *ret_header) {
    struct wire_reader reader = {.bytes = bytes, .left = JOURNAL_HEADER};
    struct journal_header header;
    if (memcmp(wire_take(&reader, sizeof magic), magic, sizeof magic) != 0)
        return -EBADMSG;
    if (wire_get_32(&reader) != JOURNAL_VERSION)
        return -EPROTONOSUPPORT;
    header.facts_size = wire_get_32(&reader);
    header.length = (int64_t)wire_get_64(&reader);
    header.size = (int64_t)wire_get_64(&reader);
    wire_get(&reader, header.checksum, sizeof header.checksum);
    if (header.facts_size > JOURNAL_FACTS_MOST || header.length < 0 || header.size != size ||
        header.size < JOURNAL_HEADER + (int64_t)header.facts_size)
        return -EBADMSG;
    *ret_header = header;
    return 0;
}

void journal_part_encode(const struct staged_part *part, unsigned char ret_bytes[JOURNAL_PART]) {
    struct wire_writer writer = {.bytes = ret_bytes};
    wire_put_64(&writer, (uint64_t)part->offset);
    wire_put_64(&writer, (uint64_t)part->length);
    wire_put_64(&writer, (uint64_t)part->kind);
}

int journal_part_decode(const unsigned char bytes[JOURNAL_PART], int64_t end, int64_t length,
                        struct staged_part *ret_part) {
    struct wire_reader reader = {.bytes = bytes, .left = JOURNAL_PART};
    int64_t offset = (int64_t)wire_get_64(&reader), size = (int64_t)wire_get_64(&reader);
    uint64_t kind = wire_get_64(&reader);
    if (offset < end || offset > length || size <= 0 || size > length - offset || kind > STAGED_HOLE)
        return -EBADMSG;
    *ret_part = (struct staged_part){.offset = offset, .length = size, .kind = (enum staged_part_kind)kind};
    return 0;
}
