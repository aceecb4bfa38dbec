// SPDX-License-Identifier: Apache-2.0
/* Text of others, made fit for a terminal and for JSON: names in a database may be any bytes.
 *
 * Pure but for the file they write to; any thread. */
#ifndef FS_TOOLS_TEXT_H
#define FS_TOOLS_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* As it is, but for control characters and bytes that are not UTF-8: \xNN, and "\" itself: \\. */
void text_put_plain(FILE *out, const char *bytes, size_t size);
/* As a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void text_put_json(FILE *out, const char *bytes, size_t size);
/* A number of bytes in the unit that suits it: "12 bytes", "3.4 GiB". */
void text_put_size(FILE *out, int64_t bytes);

#endif
