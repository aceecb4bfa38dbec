// SPDX-License-Identifier: Apache-2.0
/* Which revisions were found to be what was stored, by earlier runs of `gridmount verify --resume FILE` too: a line of the
 * file for each, with what user.gridfs.revision says, its length and its SHA-256. A revision never changes (another content under
 * the same _id is another), so what was noted of it holds; whether a disk has damaged it since is not looked at again.
 *
 * A line that was cut, and whatever else stands in the file, is no note.
 * Threads: any; it has a lock of its own. */
#ifndef FS_TOOLS_WARM_NOTES_H
#define FS_TOOLS_WARM_NOTES_H

#include <stdbool.h>
#include <stdint.h>

enum { WARM_DIGITS = 64 }; /* of a SHA-256 */

struct warm_notes;

/* Makes the file when there is none. 0 or -errno. */
int warm_notes_open(const char *path, struct warm_notes **ret_notes);
/* NULL: there are none. */
void warm_notes_close(struct warm_notes *notes);
/* Whether the revision was noted, and its SHA-256. `revision`: as user.gridfs.revision has it; "": it is none. */
bool warm_notes_find(struct warm_notes *notes, const char *revision, int64_t length, char ret_sum[WARM_DIGITS + 1]);
/* Notes it, in the file by the time this returns. What cannot be written, or has no place in a line, is not noted: it costs
 * one more look. */
void warm_notes_add(struct warm_notes *notes, const char *revision, int64_t length, const char *sum);

#endif
