#include "fs/fuse/orphans.h"

#include <errno.h>
#include <limits.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/fuse/aside.h"
#include "fs/fuse/operations.h"
#include "fs/fuse/process.h"
#include "fs/fuse/reading.h"
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
    int64_t since_ms;
    bool interrupted;
    bool aside;    /* not served now */
    bool repeated; /* served before, and nobody knows with what result */
    bool answered; /* early, from here: its own answer is yet to come */
    struct copy *copy; /* NULL: it is served, and will not be again */
};

struct put_off {
    orphans_act *act;
    struct vfs *vfs;
    void *what;
    uint64_t count;
    struct put_off *next;
};

struct orphans {
    struct fuse_session *session;
    int device;
    bool hard;
    pthread_t thread;
    uint64_t answers; /* of the server, as last looked at, and since when there are no more: the own thread's */
    int64_t silent_since_ms;
    struct lock lock; /* guards what follows */
    struct condition changed;
    bool stopping;
    unsigned interrupted, answered; /* of those under way; one is not both */
    struct put_off *first, **last;  /* while some are answered */
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

/* The status asks nothing, whatever is asked of it. */
static enum opcode_kind kind_of(struct vfs *vfs, const struct fuse_in_header *head) {
    enum opcode_kind kind = opcode_kind(head->opcode);
    if (kind == OPCODE_LIGHT)
        return kind;
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
static bool note_locked(struct orphans *orphans, const struct fuse_in_header *head, enum opcode_kind kind, size_t size) {
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
                               .since_ms = clock_now_ms()};
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

static struct orphans *orphans_of(void *userdata) {
    return ((struct operations_context *)userdata)->orphans;
}

static ssize_t take_request(int device, void *buffer, size_t size, void *userdata) {
    struct operations_context *context = userdata;
    struct orphans *orphans = context->orphans;
    ssize_t got;
    for (bool served = false; !served;) {
        got = (ssize_t)take_aside(orphans, buffer);
        if (got)
            break;
        got = reading_read(device, buffer, size);
        if (got < 0 && errno == ECONNABORTED) /* a request was taken while it is unmounted: an end like any other */
            errno = ENODEV;
        if (got < 0 && errno == ENODEV) /* while others may wait for the server still */
            context->left(context->ready_context);
        if (got < (ssize_t)sizeof(struct fuse_in_header))
            break;
        enum opcode_kind kind = kind_of(context->vfs, buffer);
        lock_acquire(&orphans->lock);
        served = note_locked(orphans, buffer, kind, (size_t)got);
        lock_release(&orphans->lock);
    }
    return got;
}

/* ---- what is answered ---- */

/* What was put off, once nothing that was answered early is under way any more. */
static struct put_off *take_put_off_locked(struct orphans *orphans) {
    struct put_off *all = orphans->answered ? NULL : orphans->first;
    if (all) {
        orphans->first = NULL;
        orphans->last = &orphans->first;
    }
    return all;
}

static void do_put_off(struct put_off *all) {
    while (all) {
        struct put_off *each = all;
        all = each->next;
        each->act(each->vfs, each->what, each->count);
        free(each);
    }
}

void orphans_end(struct orphans *orphans, orphans_act *act, struct vfs *vfs, void *what, uint64_t count) {
    struct put_off *later = NULL;
    lock_acquire(&orphans->lock);
    bool now = orphans->answered == 0;
    if (!now && (later = malloc(sizeof *later))) {
        *later = (struct put_off){.act = act, .vfs = vfs, .what = what, .count = count};
        *orphans->last = later;
        orphans->last = &later->next;
    }
    lock_release(&orphans->lock);
    if (now) /* without memory it lives on: better than to be used when it is gone */
        act(vfs, what, count);
}

/* libfuse 3.14 takes it as wanted that names of one directory are looked up side by side, and does not tell the kernel:
 * then programs wait for each other's lookups, one timeout behind the other, in a sleep that no signal ends. */
static void ask_for_parallel_lookups(const struct iovec *parts, int count) {
    struct fuse_init_out *said = count == 2 ? parts[1].iov_base : NULL;
    if (said && parts[1].iov_len >= offsetof(struct fuse_init_out, max_background))
        said->flags |= FUSE_PARALLEL_DIROPS;
}

/* Whether it is set aside, to be served again, since it could not reach the server. */
static bool waits_on_locked(struct orphans *orphans, struct under_way *each, struct fuse_out_header *head) {
    if (!each->copy || each->answered || head->error != -ETIMEDOUT || fuse_session_exited(orphans->session))
        return false;
    if (each->interrupted) {
        head->error = -EINTR;
        return false;
    }
    each->repeated = true;
    orphans->served[each->kind]--;
    set_aside_locked(orphans, each);
    return true;
}

static ssize_t give_answer(int device, struct iovec *parts, int count, void *userdata) {
    struct orphans *orphans = orphans_of(userdata);
    struct fuse_out_header *head = parts[0].iov_base;
    struct put_off *ended = NULL;
    if (orphans->hard && head->error == -ETIMEDOUT) /* it may have failed at once, and is served again at once */
        (void)usleep(PAUSE_MS * 1000);
    lock_acquire(&orphans->lock);
    struct under_way *each = find_locked(orphans, head->unique);
    bool late = each && each->answered, waits = each && waits_on_locked(orphans, each, head);
    if (each && each->opcode == FUSE_INIT)
        ask_for_parallel_lookups(parts, count);
    if (each && each->repeated && head->error)
        head->error = opcode_outcome(each->opcode, head->error);
    if (each && !waits)
        remove_locked(orphans, each);
    if (late)
        ended = take_put_off_locked(orphans);
    lock_release(&orphans->lock);
    if (waits)
        return head->len;
    if (!late)
        return writev(device, parts, count);
    do_put_off(ended);
    errno = ENOENT; /* as the kernel says it */
    return -1;
}

/* ---- who does not wait any more ---- */

static void answer_locked(struct orphans *orphans, struct under_way *each) {
    struct fuse_out_header answer = {.len = sizeof answer, .error = -EINTR, .unique = each->unique};
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
}

static bool is_silent(struct orphans *orphans) {
    uint64_t answers = stats_get(STAT_answers);
    if (answers != orphans->answers) {
        orphans->answers = answers;
        orphans->silent_since_ms = clock_now_ms();
    }
    return clock_now_ms() - orphans->silent_since_ms >= PATIENCE_MS;
}

/* Called with the lock, which it gives up while it looks. */
static void answer_orphans_locked(struct orphans *orphans) {
    _Static_assert(sizeof(struct under_way[UNDER_WAY_MOST]) <= 256 << 10, "it is on the stack");
    struct under_way old[UNDER_WAY_MOST];
    unsigned count = 0;
    int64_t now = clock_now_ms();
    bool all = is_silent(orphans) && orphans->hard;
    for (unsigned i = 0; i < orphans->count; i++)
        if (orphans->list[i].interrupted && now - orphans->list[i].since_ms >= PATIENCE_MS)
            old[count++] = orphans->list[i];
    for (unsigned i = 0; i < count; i++) {
        lock_release(&orphans->lock);
        bool gives_up = all || process_is_dying(old[i].pid);
        lock_acquire(&orphans->lock);
        struct under_way *each = gives_up ? find_locked(orphans, old[i].unique) : NULL;
        if (each && each->interrupted)
            answer_locked(orphans, each);
    }
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

struct orphans *orphans_new(struct fuse_session *session, bool hard) {
    static const struct fuse_custom_io io = {.read = take_request, .writev = give_answer};
    struct orphans *orphans = calloc(1, sizeof *orphans);
    if (!orphans)
        return NULL;
    orphans->last = &orphans->first;
    orphans->session = session;
    orphans->hard = hard;
    orphans->device = fuse_session_fd(session);
    lock_init(&orphans->lock, LOCK_REQUESTS);
    condition_init(&orphans->changed);
    if (pthread_create(&orphans->thread, NULL, watch, orphans) == 0) {
        if (fuse_session_custom_io(session, &io, orphans->device) == 0)
            return orphans;
        return orphans_free(orphans);
    }
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
