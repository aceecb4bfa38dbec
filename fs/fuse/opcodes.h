// SPDX-License-Identifier: Apache-2.0
/* What a kind of request may cost, and whether it may be served once more: pure questions about FUSE's opcodes.
 *
 * Threads: any. */
#ifndef FS_FUSE_OPCODES_H
#define FS_FUSE_OPCODES_H

#include <stdbool.h>
#include <stdint.h>

/* What it may wait for. */
enum opcode_kind {
    OPCODE_LIGHT,   /* nothing, or it has threads of its own to wait in */
    OPCODE_CONTENT, /* the server, unless what it wants is at hand: content and attributes of what is open */
    OPCODE_NAMES,   /* the server: all else */
    OPCODE_KINDS
};

enum opcode_kind opcode_kind(uint32_t opcode);
/* The kernel waits for an answer to it. */
bool opcode_is_answered(uint32_t opcode);
/* It may be served again after it could not reach the server. */
bool opcode_may_repeat(uint32_t opcode);
/* What is said of a request that was served before, without anybody knowing whether it was done: 0 or -errno, given what
 * it came to now. Who removes a name and finds none has what was wanted; who makes one and finds one, or moves one that
 * is not there, may have done it himself or not: -ETIMEDOUT. */
int opcode_outcome(uint32_t opcode, int result);

#endif
