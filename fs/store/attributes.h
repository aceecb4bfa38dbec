// SPDX-License-Identifier: Apache-2.0
/* What the database says of an inode beyond its content: metadata.posix of a file, the fields of a node. What it does
 * not say are the mount's defaults.
 *
 * Threads: plain values, no state; attributes_new_file() from any thread. */
#ifndef FS_STORE_ATTRIBUTES_H
#define FS_STORE_ATTRIBUTES_H

#include <stdint.h>

enum { ATTRIBUTES_FILE_SIZE = 12 }; /* bytes of an ObjectId */

struct attributes {
    enum {
        ATTRIBUTES_MODE = 1,
        ATTRIBUTES_UID = 2,
        ATTRIBUTES_GID = 4,
        ATTRIBUTES_ATIME = 8,
        ATTRIBUTES_MTIME = 16,
        ATTRIBUTES_CTIME = 32,
        ATTRIBUTES_FILE = 64,
        ATTRIBUTES_LINKS = 128,
    } has;
    uint32_t mode, uid, gid; /* mode: 07777 */
    uint32_t device;         /* of a device node */
    uint32_t links;          /* names of a file, when it has more than one */
    int64_t atime_ns, mtime_ns, ctime_ns;
    unsigned char file[ATTRIBUTES_FILE_SIZE]; /* the file's identity through puts and renames: an ObjectId */
    uint64_t identity;                        /* made of `file`: what st_ino is made of; 0: none */
};

/* Gives it this identity, or a new one. */
void attributes_set_file(struct attributes *attributes, const unsigned char file[ATTRIBUTES_FILE_SIZE]);
void attributes_new_file(struct attributes *attributes);
/* Takes over all that `changes` has. */
void attributes_apply(struct attributes *attributes, const struct attributes *changes);

#endif
