// SPDX-License-Identifier: Apache-2.0
#include "fs/housekeeping.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "cache/base/pages.h"
#include "fs/ticker.h"
#include "fs/trim.h"

enum { TIDY_TICKS_MOST = 60, RECOVER_TICKS = 2 };

struct housekeeping {
    struct housekeeping_config config;
    struct ticker *ticker, *keeper;
    unsigned ticks, tidy_ticks; /* passed; between two rounds of tidying */
    unsigned keep_ticks;
    struct trim trim; /* of the ticker's thread */
    _Atomic time_t away_since;
};

static void tidy(void *context) {
    vfs_tidy(((struct housekeeping *)context)->config.vfs);
}

static void recover(void *context) {
    vfs_recover(((struct housekeeping *)context)->config.vfs);
}

/* As often as content becomes due, within reason. */
static unsigned choose_tidy_ticks(int64_t grace_ms) {
    int64_t seconds = grace_ms / 1000;
    return seconds < STORE_KEEP_SECONDS ? STORE_KEEP_SECONDS : seconds > TIDY_TICKS_MOST ? TIDY_TICKS_MOST : seconds;
}

static void note_absence(struct housekeeping *housekeeping) {
    struct server *server = housekeeping->config.server;
    bool healthy = server->ops->healthy(server);
    if (healthy || !atomic_load(&housekeeping->away_since))
        atomic_store(&housekeeping->away_since, healthy ? 0 : time(NULL));
}

static void tick(void *context) {
    struct housekeeping *housekeeping = context;
    const struct housekeeping_config *config = &housekeeping->config;
    note_absence(housekeeping);
    trim_tick(&housekeeping->trim, budget_used(config->budget) + pages_idle());
    if (config->disk)
        disk_tick(config->disk);
    if (!config->changes)
        return;
    vfs_tick(config->vfs);
    if (++housekeeping->ticks % housekeeping->tidy_ticks == 0)
        workers_submit(config->chores, tidy, housekeeping);
    if (housekeeping->ticks % RECOVER_TICKS == 0)
        workers_submit(config->chores, recover, housekeeping);
}

/* In a thread of its own: no long work may make it late. */
static void keep_open(void *context) {
    struct housekeeping *housekeeping = context;
    if (++housekeeping->keep_ticks % STORE_KEEP_SECONDS == 0)
        vfs_keep_open(housekeeping->config.vfs);
}

struct housekeeping *housekeeping_new(const struct housekeeping_config *config) {
    struct housekeeping *housekeeping = calloc(1, sizeof *housekeeping);
    if (!housekeeping)
        return NULL;
    housekeeping->config = *config;
    housekeeping->tidy_ticks = choose_tidy_ticks(config->grace_ms);
    housekeeping->ticker = ticker_new(tick, housekeeping);
    housekeeping->keeper = config->changes ? ticker_new(keep_open, housekeeping) : NULL;
    if (housekeeping->ticker && (housekeeping->keeper || !config->changes)) {
        workers_submit(config->chores, recover, housekeeping);
        return housekeeping;
    }
    housekeeping_stop(housekeeping);
    return housekeeping_free(housekeeping);
}

time_t housekeeping_away_since(struct housekeeping *housekeeping) {
    return atomic_load(&housekeeping->away_since);
}

void housekeeping_stop(struct housekeeping *housekeeping) {
    if (!housekeeping)
        return;
    housekeeping->ticker = ticker_stop(housekeeping->ticker);
    housekeeping->keeper = ticker_stop(housekeeping->keeper);
}

struct housekeeping *housekeeping_free(struct housekeeping *housekeeping) {
    free(housekeeping);
    return NULL;
}
