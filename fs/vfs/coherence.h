/* What a healthy change stream vouches for: that an answer of the database still is what the database has, until a
 * change of it is told.
 *
 *     silent --[coherence_begin]--> vouching --[coherence_end]--> silent
 *
 * A question and a change may cross: an answer that was asked for before a change was told may be from before it,
 * whenever it comes. So who asks takes a moment first, and believes the answer only if nothing crossed it:
 *
 *     moment = coherence_moment(place)   ask   [lock] if (!coherence_crossed(moment)) note that it is vouched for [unlock]
 *     coherence_touch(place)                   [lock] what is noted there is not vouched for any more             [unlock]
 *
 * Both sides take one lock in the second half, that of the inode table: whichever is first, the note does not outlive the
 * change. Changes are told apart by the directory that they are in, roughly: what is taken for touched is asked again.
 *
 * What it is not: it keeps nothing that was answered; inodes have the notes (inode.h), the kernel the answers.
 *
 * Threads: any; it has a lock of its own, of a higher rank. */
#ifndef FS_VFS_COHERENCE_H
#define FS_VFS_COHERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coherence;

struct coherence_moment {
    uint64_t at; /* 0: nothing is vouched for */
    uint32_t place;
};

/* NULL without memory. */
struct coherence *coherence_new(void);
/* Takes NULL, returns NULL. */
struct coherence *coherence_free(struct coherence *coherence);
void coherence_begin(struct coherence *coherence);
void coherence_end(struct coherence *coherence);
bool coherence_vouches(struct coherence *coherence);
/* A moment, to be taken before the database is asked about something in `directory` (a path), or about its names. */
struct coherence_moment coherence_moment(struct coherence *coherence, const char *directory, size_t size);
/* Something in this directory has changed; or anywhere. */
void coherence_touch(struct coherence *coherence, const char *directory, size_t size);
void coherence_touch_all(struct coherence *coherence);
/* Whether an answer is not vouched for. */
bool coherence_crossed(struct coherence *coherence, const struct coherence_moment *moment);

#endif
