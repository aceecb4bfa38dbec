// SPDX-License-Identifier: Apache-2.0
/* The files of a bucket that no path can name (no filename, "..", "//", shadowed by a directory ...), as far as they
 * were met. They are counted in status and can be read under .gridfs/id; each is logged once.
 *
 * Threads: safe from any thread; never blocks on the server.
 * Memory: bounded: past ODDITIES_MOST further ones are neither remembered nor counted, which is logged once. */
#ifndef FS_STORE_ODDITIES_H
#define FS_STORE_ODDITIES_H

#include <stdbool.h>
#include <stddef.h>

enum { ODDITIES_MOST = 10000 };

struct oddities;

struct oddities *oddities_new(void);
/* Takes NULL, returns NULL. */
struct oddities *oddities_free(struct oddities *oddities);
/* The file whose _id has this text cannot be shown at its filename, and why. */
void oddities_note(struct oddities *oddities, const char *id_text, const char *filename, const char *why);
/* The text of the i-th, in the order met; NULL past the end. Lives as long as the set. */
const char *oddities_id(struct oddities *oddities, size_t i);

#endif
