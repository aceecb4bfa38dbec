// SPDX-License-Identifier: Apache-2.0
#include "cache/journal_record.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/journal_codec.h"
#include "cache/whole.h"

enum { BUFFER = 256 << 10 };

struct journal_record {
    int fd;
    struct journal_header header;
    unsigned char *facts;
};

/* ---- the checksum ---- */

static void free_digest(EVP_MD_CTX *digest) {
    EVP_MD_CTX_free(digest);
}

DEFINE_CLEANUP(EVP_MD_CTX, free_digest)

/* Begun with the header, in which the checksum counts as zeros. */
static EVP_MD_CTX *digest_new(const struct journal_header *header) {
    struct journal_header without = *header;
    unsigned char bytes[JOURNAL_HEADER];
    memset(without.checksum, 0, sizeof without.checksum);
    journal_header_encode(&without, bytes);
    cleanup_with(free_digest) EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool begun = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) && EVP_DigestUpdate(digest, bytes, sizeof bytes);
    return begun ? steal_ptr(&digest) : NULL;
}

static bool digest_end(EVP_MD_CTX *digest, unsigned char ret_checksum[JOURNAL_CHECKSUM]) {
    return EVP_DigestFinal_ex(digest, ret_checksum, NULL);
}

/* ---- writing ---- */

struct writer {
    int fd;
    int64_t at; /* where what is in the buffer goes */
    size_t filled;
    unsigned char *buffer;
    EVP_MD_CTX *digest;
};

static int write_out(struct writer *writer) {
    if (!EVP_DigestUpdate(writer->digest, writer->buffer, writer->filled))
        return -ENOMEM;
    int result = whole_write(writer->fd, writer->at, writer->buffer, writer->filled);
    writer->at += (int64_t)writer->filled;
    writer->filled = 0;
    return result;
}

/* Room for up to `wanted` bytes: how many, at the buffer's end; or -errno. */
static int64_t make_room(struct writer *writer, int64_t wanted) {
    int result = writer->filled == BUFFER ? write_out(writer) : 0;
    int64_t room = (int64_t)(BUFFER - writer->filled);
    return result ? result : wanted < room ? wanted : room;
}

static int put(struct writer *writer, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        int64_t room = make_room(writer, (int64_t)(size - done));
        if (room < 0)
            return (int)room;
        memcpy(writer->buffer + writer->filled, (const char *)bytes + done, (size_t)room);
        writer->filled += (size_t)room;
        done += (size_t)room;
    }
    return 0;
}

static int put_part(struct writer *writer, struct staged *staged, const struct staged_part *part) {
    unsigned char bytes[JOURNAL_PART];
    journal_part_encode(part, bytes);
    int result = put(writer, bytes, sizeof bytes);
    int64_t end = part->offset + part->length;
    if (part->kind != STAGED_BYTES)
        return result;
    for (int64_t at = part->offset; at < end && !result;) {
        int64_t room = make_room(writer, end - at);
        int64_t count = room < 0 ? room : staged_read(staged, at, (size_t)room, writer->buffer + writer->filled);
        result = count > 0 ? 0 : count ? (int)count : -EIO;
        at += result ? 0 : count;
        writer->filled += result ? 0 : (size_t)count;
    }
    return result;
}

static int put_parts(struct writer *writer, struct staged *staged) {
    struct staged_part part = {0};
    int result = 0;
    for (int64_t at = 0; !result && staged_next_part(staged, at, &part); at = part.offset + part.length)
        result = put_part(writer, staged, &part);
    return result;
}

static int64_t size_of(struct staged *staged, size_t facts_size) {
    struct staged_part part;
    int64_t size = JOURNAL_HEADER + (int64_t)facts_size;
    for (int64_t at = 0; staged_next_part(staged, at, &part); at = part.offset + part.length)
        size += JOURNAL_PART + (part.kind == STAGED_BYTES ? part.length : 0);
    return size;
}

int journal_record_write(int fd, const void *facts, size_t facts_size, struct staged *staged) {
    if (facts_size > JOURNAL_FACTS_MOST)
        return -EFBIG;
    struct journal_header header = {
        .facts_size = (uint32_t)facts_size, .length = staged_length(staged), .size = size_of(staged, facts_size)};
    cleanup_free unsigned char *buffer = malloc(BUFFER);
    cleanup_with(free_digest) EVP_MD_CTX *digest = digest_new(&header);
    struct writer writer = {.fd = fd, .at = JOURNAL_HEADER, .buffer = buffer, .digest = digest};
    unsigned char bytes[JOURNAL_HEADER];
    if (!buffer || !digest)
        return -ENOMEM;
    int result = put(&writer, facts, facts_size);
    if (!result)
        result = put_parts(&writer, staged);
    if (!result)
        result = write_out(&writer);
    if (!result && (writer.at != header.size || !digest_end(digest, header.checksum)))
        result = -EIO;
    if (result)
        return result;
    journal_header_encode(&header, bytes);
    result = whole_write(fd, 0, bytes, sizeof bytes);
    return result ? result : fsync(fd) ? -errno : 0;
}

/* ---- reading ---- */

static int check(int fd, const struct journal_header *header) {
    unsigned char checksum[JOURNAL_CHECKSUM];
    cleanup_free unsigned char *buffer = malloc(BUFFER);
    cleanup_with(free_digest) EVP_MD_CTX *digest = digest_new(header);
    if (!buffer || !digest)
        return -ENOMEM;
    for (int64_t at = JOURNAL_HEADER; at < header->size;) {
        int64_t rest = header->size - at;
        size_t size = rest < BUFFER ? (size_t)rest : BUFFER;
        int result = whole_read(fd, at, buffer, size);
        if (result)
            return result;
        if (!EVP_DigestUpdate(digest, buffer, size))
            return -ENOMEM;
        at += (int64_t)size;
    }
    bool same = digest_end(digest, checksum) && memcmp(checksum, header->checksum, sizeof checksum) == 0;
    return same ? 0 : -EBADMSG;
}

static int read_header(int fd, struct journal_header *ret_header) {
    struct stat status;
    unsigned char bytes[JOURNAL_HEADER];
    if (fstat(fd, &status))
        return -errno;
    if (!S_ISREG(status.st_mode) || status.st_size < JOURNAL_HEADER)
        return -EBADMSG;
    int result = whole_read(fd, 0, bytes, sizeof bytes);
    return result ? result : journal_header_decode(bytes, status.st_size, ret_header);
}

int journal_record_open(int fd, struct journal_record **ret_record) {
    cleanup_with(journal_record_free) struct journal_record *record = calloc(1, sizeof *record);
    if (!record)
        return -ENOMEM;
    record->fd = -1;
    int result = read_header(fd, &record->header);
    if (!result)
        result = check(fd, &record->header);
    if (!result && !(record->facts = malloc(record->header.facts_size + 1)))
        result = -ENOMEM;
    if (!result)
        result = whole_read(fd, JOURNAL_HEADER, record->facts, record->header.facts_size);
    if (result)
        return result;
    record->fd = fd;
    *ret_record = steal_ptr(&record);
    return 0;
}

struct journal_record *journal_record_free(struct journal_record *record) {
    if (record) {
        if (record->fd >= 0)
            close(record->fd);
        free(record->facts);
        free(record);
    }
    return NULL;
}

const void *journal_record_facts(const struct journal_record *record, size_t *ret_size) {
    *ret_size = record->header.facts_size;
    return record->facts;
}

/* ---- replaying ---- */

static int replay_bytes(const struct journal_record *record, int64_t at, const struct staged_part *part,
                        unsigned char *buffer, struct staged *into) {
    int64_t end = part->offset + part->length;
    int result = part->length > record->header.size - at ? -EBADMSG : 0;
    for (int64_t offset = part->offset; offset < end && !result;) {
        size_t size = end - offset < BUFFER ? (size_t)(end - offset) : BUFFER;
        result = whole_read(record->fd, at, buffer, size);
        if (!result)
            result = staged_write(into, offset, buffer, size);
        at += (int64_t)size;
        offset += (int64_t)size;
    }
    return result;
}

static int replay_zeros(const struct staged_part *part, struct staged *into) {
    int result = staged_punch(into, part->offset, part->length);
    if (!result && part->kind == STAGED_ZEROS)
        result = staged_allocate(into, part->offset, part->length, true);
    return result;
}

int journal_record_replay(struct journal_record *record, struct staged *into) {
    const struct journal_header *header = &record->header;
    unsigned char bytes[JOURNAL_PART];
    struct staged_part part = {0};
    cleanup_free unsigned char *buffer = malloc(BUFFER);
    int result = buffer ? staged_truncate(into, header->length) : -ENOMEM;
    for (int64_t at = JOURNAL_HEADER + header->facts_size; at < header->size && !result;) {
        result = header->size - at < JOURNAL_PART ? -EBADMSG : whole_read(record->fd, at, bytes, sizeof bytes);
        if (!result)
            result = journal_part_decode(bytes, part.offset + part.length, header->length, &part);
        if (result)
            break;
        at += JOURNAL_PART;
        bool has_bytes = part.kind == STAGED_BYTES;
        result = has_bytes ? replay_bytes(record, at, &part, buffer, into) : replay_zeros(&part, into);
        at += has_bytes ? part.length : 0;
    }
    return result;
}
