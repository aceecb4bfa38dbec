// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/text.h"

#include <stdbool.h>
#include <string.h>

/* How many bytes the character at `at` has; 0: it is not UTF-8. */
static size_t character_size(const unsigned char *at, size_t left) {
    static const struct {
        unsigned char mask, lead;
        unsigned least; /* code that is not too long so */
    } forms[] = {{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    for (size_t size = 1; size <= 4 && size <= left; size++) {
        if ((at[0] & forms[size - 1].mask) != forms[size - 1].lead)
            continue;
        unsigned code = at[0] & (unsigned char)~forms[size - 1].mask;
        for (size_t i = 1; i < size; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (at[i] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code < 0xe000;
        return code >= forms[size - 1].least && code <= 0x10ffff && !surrogate ? size : 0;
    }
    return 0;
}

/* Of one or two bytes: C0, DEL and C1. */
static bool is_control(const unsigned char *at, size_t size) {
    return (size == 1 && (at[0] < 0x20 || at[0] == 0x7f)) || (size == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

void text_put_plain(FILE *out, const char *bytes, size_t size) {
    const unsigned char *at = (const unsigned char *)bytes;
    for (size_t i = 0, taken; i < size; i += taken) {
        size_t whole = character_size(at + i, size - i);
        taken = whole ? whole : 1;
        if (at[i] == '\\')
            fputs("\\\\", out);
        else if (whole && !is_control(at + i, whole))
            fwrite(at + i, 1, whole, out);
        else
            for (size_t k = 0; k < taken; k++)
                fprintf(out, "\\x%02x", at[i + k]);
    }
}

void text_put_json(FILE *out, const char *bytes, size_t size) {
    const unsigned char *at = (const unsigned char *)bytes;
    fputc('"', out);
    for (size_t i = 0, taken; i < size; i += taken) {
        size_t whole = character_size(at + i, size - i);
        taken = whole ? whole : 1;
        if (!whole)
            fputs("\\ufffd", out);
        else if (at[i] == '"' || at[i] == '\\')
            fprintf(out, "\\%c", at[i]);
        else if (whole == 1 && (at[i] < 0x20 || at[i] == 0x7f))
            fprintf(out, "\\u%04x", at[i]);
        else
            fwrite(at + i, 1, whole, out);
    }
    fputc('"', out);
}

void text_put_size(FILE *out, int64_t bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    int unit = 0;
    for (; size >= 1024 && unit < 4; unit++)
        size /= 1024;
    fprintf(out, unit ? "%.1f %s" : "%.0f %s", size, units[unit]);
}
