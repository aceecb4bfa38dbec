// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/orphans.h"

#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/fuse/aside.h"
#include "fs/fuse/meter.h"
#include "fs/fuse/operations.h"
#include "fs/fuse/process.h"
#include "fs/fuse/put_off.h"
#include "fs/fuse/reading.h"
#include "fs/fuse/trace.h"
#include "fs/vfs/vfs.h"

enum { UNDER_WAY_MOST = 2048, EARLY = 64, PATIENCE_MS = 1000, LOOK_MS = 300, PAUSE_MS = 20 };

/* How many are served at once: more than connections, so that what is at hand is not held up by what is not. */
static const unsigned served_most[OPCODE_KINDS] = {
    [OPCODE_LIGHT] = UINT_MAX, [OPCODE_CONTENT] = 64, [OPCODE_NAMES] = 320};

struct under_way {
    uint64_t unique; /* the kernel's number of the request */
    pid_t pid;       /* of the thread that waits */
    uint32_t opcode;
    enum opcode_kind kind;
    int64_t since_ns;
    bool interrupted;
    bool aside;    /* not served now */
    bool waits;    /* for the server: to be set aside when its thread is done with it */
    bool repeated; /* served before, and nobody knows with what result */
    bool answered; /* early, from here: its own answer is yet to come */
    bool deferred; /* another thread answers it */
    int error;     /* with which it is answered: 0 or -errno */
    char *traced;  /* what the trace will say of it; NULL: nothing */
    struct copy *copy; /* NULL: it is served, and will not be again */
};

static _Thread_local uint64_t own; /* number of the request that this thread serves; 0: none that is noted */

struct orphans {
    const struct operations_context *context;
    int device;
    bool hard;
    pthread_t thread;
    uint64_t answers; /* of the server, as last looked at, and since when there are no more: the own thread's */
    int64_t silent_since_ms;
    struct lock lock; /* guards what follows */
    struct condition changed;
    bool stopping;
    unsigned interrupted, answered; /* of those under way; one is not both */
    struct put_off_list later;      /* while some are answered */
    uint64_t early[EARLY]; /* interrupted, and not noted yet or not any more; 0: none */
    unsigned next_early;
    struct aside aside;
    unsigned served[OPCODE_KINDS];
    unsigned count;
    struct under_way list[UNDER_WAY_MOST]; /* in no order; what finds no room is not noted */
};

/* ---- what passes ---- */

static struct under_way *find_locked(struct orphans *orphans, uint64_t unique) {
    for (unsigned i = 0; i < orphans->count; i++)
        if (orphans->list[i].unique == unique)
            return &orphans->list[i];
    return NULL;
}

static void remove_locked(struct orphans *orphans, struct under_way *each) {
    orphans->interrupted -= each->interrupted;
    orphans->answered -= each->answered;
    orphans->served[each->kind] -= !each->aside;
    if (each->aside)
        aside_remove(&orphans->aside, each->copy);
    free(each->copy);
    free(each->traced);
    *each = orphans->list[--orphans->count];
}

static void interrupt_locked(struct orphans *orphans, struct under_way *each) {
    if (each->interrupted || each->answered)
        return;
    each->interrupted = true;
    if (orphans->interrupted++ == 0)
        condition_signal(&orphans->changed);
}

/* Of a request that one thread reads another may read the interruption at once, and be here first. */
static bool was_interrupted_locked(struct orphans *orphans, uint64_t unique) {
    for (unsigned i = 0; i < EARLY; i++)
        if (orphans->early[i] == unique) {
            orphans->early[i] = 0;
            return true;
        }
    return false;
}

/* ---- who is served ---- */

/* The status asks nothing, whatever is asked of it. Nor does the root of its attributes, which are its own, and whoever looks
 * for the status may have to wait for them. */
static enum opcode_kind kind_of(struct vfs *vfs, const struct fuse_in_header *head) {
    enum opcode_kind kind = opcode_kind(head->opcode);
    if (kind == OPCODE_LIGHT || (head->opcode == FUSE_GETATTR && head->nodeid == FUSE_ROOT_ID))
        return OPCODE_LIGHT;
    struct inode *inode = head->nodeid == FUSE_ROOT_ID ? vfs_root(vfs) : (struct inode *)(uintptr_t)head->nodeid;
    const char *name = head->opcode == FUSE_LOOKUP ? (const char *)(head + 1) : NULL;
    return vfs_is_status(vfs, inode, name) ? OPCODE_LIGHT : kind;
}

static void set_aside_locked(struct orphans *orphans, struct under_way *each) {
    stats_add(STAT_waits, 1);
    each->aside = true;
    aside_append(&orphans->aside, each->copy);
}

static bool may_repeat(const struct orphans *orphans, const struct under_way *each) {
    return orphans->hard && opcode_may_repeat(each->opcode);
}

static void serve_locked(struct orphans *orphans, struct under_way *each) {
    if (each->aside)
        aside_remove(&orphans->aside, each->copy);
    each->aside = false;
    orphans->served[each->kind]++;
    if (may_repeat(orphans, each))
        return;
    free(each->copy);
    each->copy = NULL;
}

/* Whether it is to be served now. Without memory it is. */
static bool note_locked(struct orphans *orphans, const struct fuse_in_header *head, enum opcode_kind kind, size_t size,
                        char **traced) {
    if (head->opcode == FUSE_INTERRUPT) {
        const struct fuse_interrupt_in *interrupt = (const void *)(head + 1);
        struct under_way *each = find_locked(orphans, interrupt->unique);
        if (each)
            interrupt_locked(orphans, each);
        else
            orphans->early[orphans->next_early++ % EARLY] = interrupt->unique;
    }
    if (!opcode_is_answered(head->opcode) || orphans->count == UNDER_WAY_MOST)
        return true;
    struct under_way *each = &orphans->list[orphans->count++];
    *each = (struct under_way){.unique = head->unique,
                               .pid = (pid_t)head->pid,
                               .opcode = head->opcode,
                               .kind = kind,
                               .since_ns = clock_now_ns(),
                               .traced = steal_ptr(traced)};
    if (was_interrupted_locked(orphans, head->unique))
        interrupt_locked(orphans, each);
    bool full = orphans->served[kind] >= served_most[kind];
    if (full || may_repeat(orphans, each))
        each->copy = copy_of(each->unique, kind, head, size);
    if (full && each->copy)
        set_aside_locked(orphans, each);
    else
        serve_locked(orphans, each);
    return !each->aside;
}

/* The first that may be served, into the buffer; its size, or 0. */
static size_t take_aside(struct orphans *orphans, void *buffer) {
    size_t size = 0;
    lock_acquire(&orphans->lock);
    struct copy *copy = orphans->aside.first;
    while (copy && orphans->served[copy->kind] >= served_most[copy->kind])
        copy = copy->next;
    if (copy) {
        size = copy->size;
        memcpy(buffer, copy->bytes, size);
        serve_locked(orphans, find_locked(orphans, copy->unique));
    }
    lock_release(&orphans->lock);
    return size;
}

ssize_t orphans_take(struct orphans *orphans, void *buffer, size_t size) {
    const struct fuse_in_header *head = buffer;
    ssize_t got;
    own = 0;
    for (bool served = false; !served;) {
        got = (ssize_t)take_aside(orphans, buffer);
        if (got)
            break;
        got = reading_read(orphans->device, buffer, size);
        if (got < (ssize_t)sizeof *head) {
            errno = got < 0 ? errno : EIO;
            return -1;
        }
        enum opcode_kind kind = kind_of(orphans->context->vfs, head);
        cleanup_free char *traced =
            opcode_is_answered(head->opcode) ? trace_describe(orphans->context->trace, orphans->context->vfs, head) : NULL;
        lock_acquire(&orphans->lock);
        served = note_locked(orphans, head, kind, (size_t)got, &traced);
        lock_release(&orphans->lock);
    }
    own = opcode_is_answered(head->opcode) ? head->unique : 0;
    return got;
}

/* ---- what is answered ---- */

void orphans_end(struct orphans *orphans, put_off_act *act, struct vfs *vfs, void *what, uint64_t count) {
    lock_acquire(&orphans->lock);
    bool now = orphans->answered == 0;
    if (!now) /* without memory it lives on: better than to be used when it is gone */
        (void)put_off(&orphans->later, act, vfs, what, count);
    lock_release(&orphans->lock);
    if (now)
        act(vfs, what, count);
}

bool orphans_retry(struct orphans *orphans, int *error) {
    bool unreached = orphans->hard && *error == -ETIMEDOUT;
    if (unreached) /* it may have failed at once, and is served again at once */
        (void)usleep(PAUSE_MS * 1000);
    lock_acquire(&orphans->lock);
    struct under_way *each = find_locked(orphans, own);
    if (each && each->copy && !each->answered && unreached && !fuse_session_exited(orphans->context->fuse)) {
        each->waits = !each->interrupted;
        *error = each->interrupted ? -EINTR : *error;
    }
    if (each && each->repeated)
        *error = opcode_outcome(each->opcode, *error);
    bool waits = each && each->waits;
    if (each)
        each->error = *error;
    lock_release(&orphans->lock);
    return waits;
}

static void set_aside_again_locked(struct orphans *orphans, struct under_way *each) {
    each->waits = false;
    each->repeated = true;
    orphans->served[each->kind]--;
    set_aside_locked(orphans, each);
}

/* How long it took. */
static int64_t note_answer(const struct under_way *each, int error) {
    int64_t nanoseconds = METERING || each->traced ? clock_now_ns() - each->since_ns : 0;
    meter_note(each->opcode, nanoseconds, error);
    return nanoseconds;
}

/* `error` of what is deferred; the others have theirs. */
static void end(struct orphans *orphans, uint64_t unique, bool deferred, int error) {
    struct put_off *ended = NULL;
    char *traced = NULL;
    int64_t nanoseconds = 0;
    lock_acquire(&orphans->lock);
    struct under_way *each = find_locked(orphans, unique);
    bool late = each && each->answered;
    if (each && each->waits && !late) {
        set_aside_again_locked(orphans, each);
    } else if (each && each->deferred == deferred) {
        error = deferred ? error : each->error;
        nanoseconds = late ? 0 : note_answer(each, error);
        traced = steal_ptr(&each->traced); /* NULL, if it was answered early */
        remove_locked(orphans, each);
    }
    if (late && orphans->answered == 0)
        ended = put_off_take(&orphans->later);
    lock_release(&orphans->lock);
    put_off_do(ended);
    trace_write(orphans->context->trace, traced, nanoseconds, error);
}

void orphans_served(struct orphans *orphans) {
    if (own)
        end(orphans, own, false, 0);
    own = 0;
}

uint64_t orphans_defer(struct orphans *orphans) {
    lock_acquire(&orphans->lock);
    struct under_way *each = find_locked(orphans, own);
    if (each)
        each->deferred = true;
    lock_release(&orphans->lock);
    return own;
}

void orphans_answered(struct orphans *orphans, uint64_t request, int error) {
    end(orphans, request, true, error);
}

/* ---- who does not wait any more ---- */

/* Returns what the trace is to say of it, to be given to trace_write(). */
static char *answer_locked(struct orphans *orphans, struct under_way *each, int64_t *ret_nanoseconds) {
    struct fuse_out_header answer = {.len = sizeof answer, .error = -EINTR, .unique = each->unique};
    char *traced = steal_ptr(&each->traced);
    *ret_nanoseconds = note_answer(each, answer.error);
    if (each->aside) {
        remove_locked(orphans, each);
    } else {
        each->interrupted = false;
        orphans->interrupted--;
        each->answered = true; /* before: what lets go of its handle may be the next that is read */
        orphans->answered++;
    }
    if (write(orphans->device, &answer, sizeof answer) < 0)
        log_debug("an orphaned request could not be answered: %s", strerror(errno));
    return traced;
}

static bool is_silent(struct orphans *orphans) {
    uint64_t answers = stats_get(STAT_answers);
    if (answers != orphans->answers) {
        orphans->answers = answers;
        orphans->silent_since_ms = clock_now_ms();
    }
    return clock_now_ms() - orphans->silent_since_ms >= PATIENCE_MS;
}

static void answer_if_orphaned(struct orphans *orphans, const struct under_way *old, bool all) {
    char *traced = NULL;
    int64_t nanoseconds = 0;
    if (!all && !process_is_dying(old->pid))
        return;
    lock_acquire(&orphans->lock);
    struct under_way *each = find_locked(orphans, old->unique);
    if (each && each->interrupted)
        traced = answer_locked(orphans, each, &nanoseconds);
    lock_release(&orphans->lock);
    trace_write(orphans->context->trace, traced, nanoseconds, -EINTR);
}

/* Called with the lock, which it gives up while it looks. */
static void answer_orphans_locked(struct orphans *orphans) {
    _Static_assert(sizeof(struct under_way[UNDER_WAY_MOST]) <= 256 << 10, "it is on the stack");
    struct under_way old[UNDER_WAY_MOST];
    unsigned count = 0;
    int64_t since_ns = clock_now_ns() - PATIENCE_MS * INT64_C(1000000);
    bool all = is_silent(orphans) && orphans->hard;
    for (unsigned i = 0; i < orphans->count; i++)
        if (orphans->list[i].interrupted && orphans->list[i].since_ns <= since_ns)
            old[count++] = orphans->list[i];
    lock_release(&orphans->lock);
    for (unsigned i = 0; i < count; i++)
        answer_if_orphaned(orphans, &old[i], all);
    lock_acquire(&orphans->lock);
}

static void *watch(void *argument) {
    struct orphans *orphans = argument;
    lock_acquire(&orphans->lock);
    while (!orphans->stopping) {
        if (orphans->interrupted == 0) {
            condition_wait(&orphans->changed, &orphans->lock);
            continue;
        }
        (void)condition_wait_for(&orphans->changed, &orphans->lock, LOOK_MS);
        answer_orphans_locked(orphans);
    }
    lock_release(&orphans->lock);
    return NULL;
}

struct orphans *orphans_new(const struct operations_context *context, bool hard) {
    struct orphans *orphans = calloc(1, sizeof *orphans);
    if (!orphans)
        return NULL;
    orphans->context = context;
    orphans->hard = hard;
    orphans->device = fuse_session_fd(context->fuse);
    lock_init(&orphans->lock, LOCK_REQUESTS);
    condition_init(&orphans->changed);
    if (pthread_create(&orphans->thread, NULL, watch, orphans) == 0)
        return orphans;
    condition_done(&orphans->changed);
    lock_done(&orphans->lock);
    free(orphans);
    return NULL;
}

struct orphans *orphans_free(struct orphans *orphans) {
    if (!orphans)
        return NULL;
    lock_acquire(&orphans->lock);
    orphans->stopping = true;
    condition_signal(&orphans->changed);
    lock_release(&orphans->lock);
    pthread_join(orphans->thread, NULL);
    while (orphans->count) /* whom the kernel does not wait for any more */
        remove_locked(orphans, orphans->list);
    condition_done(&orphans->changed);
    lock_done(&orphans->lock);
    free(orphans);
    return NULL;
}
