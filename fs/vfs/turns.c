// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/turns.h"

#include <utlist.h>

#include "cache/base/check.h"

void turns_init(struct turns *turns) {
    lock_init(&turns->lock, LOCK_TURNS);
    condition_init(&turns->ended);
    turns->taken = NULL;
}

void turns_done(struct turns *turns) {
    CHECK(!turns->taken);
    condition_done(&turns->ended);
    lock_done(&turns->lock);
}

static bool is_taken(const struct turns *turns, const void *of) {
    const struct turn *turn;
    DL_FOREACH(turns->taken, turn) {
        if (turn->of == of)
            return true;
    }
    return false;
}

void turns_begin(struct turns *turns, struct turn *turn, const void *of) {
    turn->of = of;
    lock_acquire(&turns->lock);
    while (is_taken(turns, of))
        condition_wait(&turns->ended, &turns->lock);
    DL_APPEND(turns->taken, turn);
    lock_release(&turns->lock);
}

void turns_end(struct turns *turns, struct turn *turn) {
    lock_acquire(&turns->lock);
    DL_DELETE(turns->taken, turn);
    condition_broadcast(&turns->ended);
    lock_release(&turns->lock);
}
