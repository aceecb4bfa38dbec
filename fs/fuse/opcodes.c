// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/opcodes.h"

#include <errno.h>
#include <linux/fuse.h>

enum opcode_kind opcode_kind(uint32_t opcode) {
    switch (opcode) {
    case FUSE_INIT:
    case FUSE_DESTROY:
    case FUSE_STATFS:
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
    case FUSE_NOTIFY_REPLY:
    case FUSE_RELEASEDIR:
    case FUSE_READLINK:
    case FUSE_SETLK:
    case FUSE_SETLKW:
        return OPCODE_LIGHT;
    case FUSE_READ:
    case FUSE_WRITE:
    case FUSE_GETATTR:
    case FUSE_LSEEK:
        return OPCODE_CONTENT;
    default:
        return OPCODE_NAMES;
    }
}

bool opcode_is_answered(uint32_t opcode) {
    return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
           opcode != FUSE_NOTIFY_REPLY;
}

bool opcode_may_repeat(uint32_t opcode) {
    bool locks = opcode == FUSE_GETLK || opcode == FUSE_SETLK || opcode == FUSE_SETLKW;
    return opcode_is_answered(opcode) && !locks && opcode != FUSE_INIT && opcode != FUSE_DESTROY;
}

int opcode_outcome(uint32_t opcode, int result) {
    switch (opcode) {
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_REMOVEXATTR:
        return result == -ENOENT || result == -ENODATA ? 0 : result;
    case FUSE_MKDIR:
    case FUSE_MKNOD:
    case FUSE_SYMLINK:
    case FUSE_LINK:
    case FUSE_CREATE:
    case FUSE_SETXATTR:
        return result == -EEXIST ? -ETIMEDOUT : result;
    case FUSE_RENAME:
    case FUSE_RENAME2:
        return result == -ENOENT || result == -EEXIST ? -ETIMEDOUT : result;
    default:
        return result;
    }
}
