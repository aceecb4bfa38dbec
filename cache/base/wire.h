// SPDX-License-Identifier: Apache-2.0
/* Numbers and bytes one behind the other, as they stand in files: little-endian, without gaps.
 *
 * A writer counts what it is given; without room it only counts. A reader is given what anybody may have written: past
 * the end it gives zeros, and says so.
 *
 * Threads: plain values. Memory: the caller's buffers. */
#ifndef CACHE_BASE_WIRE_H
#define CACHE_BASE_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct wire_writer {
    unsigned char *bytes; /* NULL: it only counts */
    size_t size;
};

struct wire_reader {
    const unsigned char *bytes;
    size_t left;
    bool short_of; /* something was asked for that is not there */
};

static inline void wire_put(struct wire_writer *writer, const void *bytes, size_t size) {
    if (writer->bytes && size)
        memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

static inline void wire_put_32(struct wire_writer *writer, uint32_t number) {
    number = htole32(number);
    wire_put(writer, &number, sizeof number);
}

static inline void wire_put_64(struct wire_writer *writer, uint64_t number) {
    number = htole64(number);
    wire_put(writer, &number, sizeof number);
}

/* The next bytes, lent; NULL: there are less. */
static inline const void *wire_take(struct wire_reader *reader, size_t size) {
    const unsigned char *bytes = reader->bytes;
    if (size > reader->left) {
        reader->short_of = true;
        reader->left = 0;
        return NULL;
    }
    reader->bytes += size;
    reader->left -= size;
    return bytes;
}

static inline void wire_get(struct wire_reader *reader, void *into, size_t size) {
    const void *bytes = wire_take(reader, size);
    if (bytes)
        memcpy(into, bytes, size);
    else
        memset(into, 0, size);
}

static inline uint32_t wire_get_32(struct wire_reader *reader) {
    uint32_t number;
    wire_get(reader, &number, sizeof number);
    return le32toh(number);
}

static inline uint64_t wire_get_64(struct wire_reader *reader) {
    uint64_t number;
    wire_get(reader, &number, sizeof number);
    return le64toh(number);
}

#endif
