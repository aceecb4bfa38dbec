// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/passing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "cache/base/cleanup.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/fuse/request.h"

enum { CHAINS = 256 };
enum { UNWANTED, UNKNOWN_HERE, NOT_IN_KERNEL, REFUSED, UNTRIED, USED };

/* An open file. */
struct node {
    fuse_ino_t number;
    unsigned opens;
    int backing; /* what the kernel reads it from; 0: it asks us */
    struct node *next;
};

struct passing {
    struct fuse_session *fuse; /* once the kernel was asked */
    atomic_int state;          /* UNTRIED may become USED, and both REFUSED */
    struct lock lock;          /* guards what follows */
    struct node *chains[CHAINS];
};

const char *passing_state(struct passing *passing) {
    static const char *const words[] = {
        [UNWANTED] = "none: only with ro, and without locks=cluster",
        [UNKNOWN_HERE] = "none: libfuse is older than 3.17",
        [NOT_IN_KERNEL] = "none: the kernel has none",
        [REFUSED] = "none: the kernel refuses it here",
        [UNTRIED] = "none yet: no file that was opened was known to be whole in cache_dir",
        [USED] = "used",
    };
    return words[atomic_load(&passing->state)];
}

struct passing *passing_new(bool wanted) {
    struct passing *passing = calloc(1, sizeof *passing);
    if (!passing)
        return NULL;
    lock_init(&passing->lock, LOCK_REQUESTS);
    atomic_init(&passing->state, wanted ? UNKNOWN_HERE : UNWANTED);
    return passing;
}

struct passing *passing_free(struct passing *passing) {
    if (!passing)
        return NULL;
    for (unsigned i = 0; i < CHAINS; i++)
        for (struct node *node = passing->chains[i], *next; node; node = next) { /* never released: it was unmounted */
            next = node->next;
            free(node);
        }
    lock_done(&passing->lock);
    free(passing);
    return NULL;
}

/* ---- the kernel ---- */

#ifdef FUSE_CAP_PASSTHROUGH

enum { BACKING_CLOSE = _IOW(229, 2, uint32_t) }; /* FUSE_DEV_IOC_BACKING_CLOSE, of a newer linux/fuse.h */

void passing_init(struct passing *passing, struct fuse_session *fuse, struct fuse_conn_info *connection) {
    passing->fuse = fuse;
    if (atomic_load(&passing->state) == UNWANTED)
        return;
    bool can = connection->capable & FUSE_CAP_PASSTHROUGH;
    connection->want |= can ? (unsigned)FUSE_CAP_PASSTHROUGH : 0;
    atomic_store(&passing->state, can ? UNTRIED : NOT_IN_KERNEL);
}

/* What the kernel knows the descriptor by; 0: it takes none. */
static int give(struct passing *passing, fuse_req_t request, int fd) {
    int backing = fuse_passthrough_open(request, fd), untried = UNTRIED;
    if (backing > 0) {
        atomic_compare_exchange_strong(&passing->state, &untried, USED);
        return backing;
    }
    if (atomic_exchange(&passing->state, REFUSED) != REFUSED)
        log_info("files in cache_dir are read through gridmount: the kernel does not read them by itself for a process "
                 "without CAP_SYS_ADMIN, or from a stacked file system (overlayfs)");
    return 0;
}

/* As fuse_passthrough_close(), without a request: one that was answered in vain is no more. */
static void take_back(struct passing *passing, int backing) {
    uint32_t number = (uint32_t)backing;
    (void)ioctl(fuse_session_fd(passing->fuse), BACKING_CLOSE, &number);
}

/* What is opened with O_DIRECT is mapped by the kernel, but read through us: the file below may want it aligned. */
static void pass(struct fuse_file_info *info, int backing) {
    info->backing_id = backing;
    info->keep_cache = false; /* there are no pages of ours */
    info->direct_io = (info->flags & O_DIRECT) != 0;
    stats_add(STAT_opens_passed, info->direct_io ? 0 : 1);
}

#else

void passing_init(struct passing *passing, struct fuse_session *fuse, struct fuse_conn_info *connection) {
    passing->fuse = fuse;
    (void)connection;
}

static int give(struct passing *passing, fuse_req_t request, int fd) {
    (void)passing;
    (void)request;
    (void)fd;
    return 0;
}

static void take_back(struct passing *passing, int backing) {
    (void)passing;
    (void)backing;
}

static void pass(struct fuse_file_info *info, int backing) {
    (void)info;
    (void)backing;
}

#endif

/* ---- what is open ---- */

/* Where the node is, or would be. */
static struct node **place_of(struct passing *passing, fuse_ino_t number) {
    struct node **place = &passing->chains[number / 16 % CHAINS]; /* an address */
    while (*place && (*place)->number != number)
        place = &(*place)->next;
    return place;
}

static bool is_open(struct passing *passing, fuse_ino_t number) {
    lock_acquire(&passing->lock);
    bool open = *place_of(passing, number);
    lock_release(&passing->lock);
    return open;
}

int passing_open(struct passing *passing, fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info) {
    if (atomic_load(&passing->state) < REFUSED)
        return 0;
    bool asks = atomic_load(&passing->state) > REFUSED && !(info->flags & O_DIRECT) && !is_open(passing, number);
    cleanup_fd int fd = asks ? vfs_whole(request_vfs(request), request_handle(info)) : -1;
    lock_acquire(&passing->lock);
    struct node **place = place_of(passing, number);
    if (!*place && (*place = calloc(1, sizeof **place))) {
        (*place)->number = number;
        (*place)->backing = fd >= 0 ? give(passing, request, fd) : 0;
    }
    if (*place)
        (*place)->opens++;
    int backing = *place ? (*place)->backing : -ENOMEM;
    lock_release(&passing->lock);
    if (backing > 0)
        pass(info, backing);
    return backing < 0 ? backing : 0;
}

void passing_release(struct passing *passing, fuse_ino_t number) {
    lock_acquire(&passing->lock);
    struct node **place = place_of(passing, number), *node = *place;
    if (node && --node->opens == 0) {
        if (node->backing)
            take_back(passing, node->backing);
        *place = node->next;
        free(node);
    }
    lock_release(&passing->lock);
}
