// SPDX-License-Identifier: Apache-2.0
/* What outlives a mount of a file of the disk tier whose chunks were all found sound: it need not be looked at again, until it
 * changes or a day has passed, since what the disk makes of it is to be seen at last.
 *
 * The mark stands behind the heads, has a checksum, and names the content by its identity and its ctime, which every
 * change sets. It is made of what is on the disk only, so that no loss of power leaves more of the mark than of the content.
 *
 * Threads and processes: any number at once on one file.
 * Errors: 0 or -errno. */
#ifndef CACHE_DISK_MARK_H
#define CACHE_DISK_MARK_H

#include "cache/disk_file.h"
#include "cache/disk_identity.h"

enum { DISK_MARK_SECONDS = 24 * 60 * 60 };

/* The caller found all of `identity` sound. -EAGAIN: not all of it is on the disk, yet; -ESTALE: another is there now, or it
 * has changed. What the disk did not take is removed: memory has it as it should be, and would be believed.
 * May wait for the disk to finish what it has begun. */
int disk_mark_set(const char *folder, const struct disk_file *file, const struct disk_identity *identity);
bool disk_mark_holds(const struct disk_open *open, const struct disk_file *file, const struct disk_identity *identity);
/* It was found damaged: whoever took it for sound, in whichever mount, is to find it changed. */
void disk_mark_clear(const struct disk_open *open);

#endif
