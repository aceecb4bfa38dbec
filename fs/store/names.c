// SPDX-License-Identifier: Apache-2.0
#include "fs/store/names.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "cache/base/cleanup.h"

const char *const names_spellings[NAMES_SPELLINGS] = {"", "/", "./"};

/* The size of the valid UTF-8 character at `bytes` (RFC 3629), or 0. */
static size_t character_size(const unsigned char *bytes, size_t size) {
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 0}, {0xE0, 0xC0, 0x80}, {0xF0, 0xE0, 0x800}, {0xF8, 0xF0, 0x10000}};
    for (size_t more = 0; more < 4; more++) {
        if ((bytes[0] & forms[more].mask) != forms[more].lead)
            continue;
        if (more >= size)
            return 0;
        uint32_t character = bytes[0] & (unsigned char)~forms[more].mask;
        for (size_t i = 1; i <= more; i++) {
            if ((bytes[i] & 0xC0) != 0x80)
                return 0;
            character = character << 6 | (bytes[i] & 0x3F);
        }
        bool surrogate = character >= 0xD800 && character < 0xE000;
        return character >= forms[more].least && character < 0x110000 && !surrogate ? more + 1 : 0;
    }
    return 0;
}

/* Whether the three bytes at `bytes` are one of U+EF80 to U+EFFF, which stand for the bytes 80 to FF. */
static bool is_escape(const unsigned char *bytes, size_t size) {
    return size >= 3 && bytes[0] == 0xEE && (bytes[1] == 0xBE || bytes[1] == 0xBF) && (bytes[2] & 0xC0) == 0x80;
}

static unsigned char unescape(const unsigned char *bytes) {
    return (unsigned char)((bytes[1] & 0x03) << 6 | (bytes[2] & 0x3F)); /* the low byte of U+EFNN */
}

static size_t escape(unsigned char byte, char *ret_stored) {
    ret_stored[0] = (char)0xEE;
    ret_stored[1] = (char)(0xBC | byte >> 6);
    ret_stored[2] = (char)(0x80 | (byte & 0x3F));
    return 3;
}

static bool is_component(const char *name, size_t size) {
    bool dots = (size == 1 && name[0] == '.') || (size == 2 && name[0] == '.' && name[1] == '.');
    return size > 0 && !dots && !memchr(name, '/', size) && !memchr(name, '\0', size);
}

/* Every byte in its stored form; up to three times the size. */
static size_t encode(const char *name, size_t size, char *ret_stored) {
    size_t used = 0;
    for (size_t i = 0; i < size;) {
        const unsigned char *at = (const unsigned char *)name + i;
        size_t whole = character_size(at, size - i);
        bool as_it_is = whole && !is_escape(at, size - i);
        size_t taken = whole ? whole : 1;
        for (size_t k = 0; k < taken; k++) {
            if (as_it_is)
                ret_stored[used++] = (char)at[k];
            else
                used += escape(at[k], ret_stored + used);
        }
        i += taken;
    }
    ret_stored[used] = '\0';
    return used;
}

int names_encode(const char *name, char ret_stored[NAMES_STORED_MOST + 1]) {
    size_t size = strlen(name);
    if (!is_component(name, size))
        return -EINVAL;
    if (size > NAMES_COMPONENT_MOST)
        return -ENAMETOOLONG;
    encode(name, size, ret_stored);
    return 0;
}

/* Whether `stored`, of at most three times `most` bytes, is what storing something made; *ret_size: what of. */
static bool decode(const char *stored, size_t size, size_t most, char *ret_name, size_t *ret_size, bool *ret_escaped) {
    size_t used = 0;
    *ret_escaped = false;
    for (size_t i = 0; i < size;) {
        const unsigned char *at = (const unsigned char *)stored + i;
        size_t whole = character_size(at, size - i);
        bool escape_here = is_escape(at, size - i);
        size_t bytes = escape_here ? 1 : whole;
        if (!whole || used + bytes > most)
            return false;
        if (escape_here)
            ret_name[used] = (char)unescape(at);
        else
            memcpy(ret_name + used, at, whole);
        *ret_escaped |= escape_here;
        used += bytes;
        i += whole;
    }
    ret_name[used] = '\0';
    *ret_size = used;
    return true;
}

int names_decode(const char *stored, size_t size, char ret_name[NAMES_COMPONENT_MOST + 1]) {
    char name[NAMES_COMPONENT_MOST + 1], again[NAMES_STORED_MOST + 1];
    size_t used;
    bool escaped;
    if (size > NAMES_STORED_MOST || !is_component(stored, size) ||
        !decode(stored, size, NAMES_COMPONENT_MOST, name, &used, &escaped))
        return -EINVAL;
    /* Only what storing this name would make is its stored form: else two stored names would be one. */
    if (escaped && (names_encode(name, again) || strlen(again) != size || memcmp(again, stored, size)))
        return -EINVAL;
    memcpy(ret_name, name, used + 1);
    return 0;
}

char *names_encode_target(const char *target) {
    size_t size = strlen(target);
    char *stored = malloc(3 * size + 1);
    if (stored)
        encode(target, size, stored);
    return stored;
}

char *names_decode_target(const char *stored) {
    size_t size = strlen(stored), used;
    bool escaped;
    cleanup_free char *target = malloc(size + 1), *again = NULL;
    if (!target || !decode(stored, size, size, target, &used, &escaped))
        return target ? strdup(stored) : NULL;
    again = names_encode_target(target);
    return again && strcmp(again, stored) == 0 ? steal_ptr(&target) : strdup(stored);
}

size_t names_skip_spelling(const char *filename, size_t size) {
    if (size >= 1 && filename[0] == '/')
        return 1;
    if (size >= 2 && filename[0] == '.' && filename[1] == '/')
        return 2;
    return 0;
}

size_t names_first_component(const char *path, size_t size) {
    const char *slash = size ? memchr(path, '/', size) : NULL;
    return slash ? (size_t)(slash - path) : size;
}

size_t names_path_size(const char *filename, size_t size) {
    size_t at = names_skip_spelling(filename, size), end = 0;
    char name[NAMES_COMPONENT_MOST + 1];
    for (bool first = true; at <= size; first = false) {
        size_t component = names_first_component(filename + at, size - at);
        if (names_decode(filename + at, component, name) || (first && strcmp(name, NAMES_CONTROL) == 0))
            return end;
        end = at + component;
        at = end + 1;
    }
    return end;
}

bool names_is_path(const char *filename, size_t size) {
    return size > 0 && names_path_size(filename, size) == size;
}
