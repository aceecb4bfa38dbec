#include "fs/fuse/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "fs/fuse/operations.h"

enum { UNDER_WAY_MOST = 300, EARLY = 64, PATIENCE_MS = 1000, LOOK_MS = 300 };

struct under_way {
    uint64_t unique; /* the kernel's number of the request */
    pid_t pid;       /* of the thread that waits */
    int64_t since_ms;
    bool first; /* of all */
    bool interrupted;
    bool answered; /* early, from here: its own answer is yet to come */
};

struct put_off {
    orphans_act *act;
    struct vfs *vfs;
    void *what;
    uint64_t count;
    struct put_off *next;
};

struct orphans {
    int device;
    pthread_t thread;
    struct lock lock; /* guards what follows */
    struct condition changed;
    bool stopping;
    unsigned interrupted, answered; /* of those under way; one is not both */
    struct put_off *first, **last;  /* while some are answered */
    uint64_t early[EARLY]; /* interrupted, and not noted yet or not any more; 0: none */
    unsigned next_early;
    unsigned count;
    struct under_way list[UNDER_WAY_MOST]; /* in no order; what finds no room is no orphan */
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
    *each = orphans->list[--orphans->count];
}

static bool is_answered(uint32_t opcode) {
    return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT &&
           opcode != FUSE_NOTIFY_REPLY;
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

static void note_locked(struct orphans *orphans, const struct fuse_in_header *head, const void *body) {
    if (head->opcode == FUSE_INTERRUPT) {
        const struct fuse_interrupt_in *interrupt = body;
        struct under_way *each = find_locked(orphans, interrupt->unique);
        if (each)
            interrupt_locked(orphans, each);
        else
            orphans->early[orphans->next_early++ % EARLY] = interrupt->unique;
    } else if (is_answered(head->opcode) && orphans->count < UNDER_WAY_MOST) {
        struct under_way *each = &orphans->list[orphans->count++];
        *each = (struct under_way){.unique = head->unique,
                                   .pid = (pid_t)head->pid,
                                   .since_ms = clock_now_ms(),
                                   .first = head->opcode == FUSE_INIT};
        if (was_interrupted_locked(orphans, head->unique))
            interrupt_locked(orphans, each);
    }
}

static struct orphans *orphans_of(void *userdata) {
    return ((struct operations_context *)userdata)->orphans;
}

static ssize_t take_request(int device, void *buffer, size_t size, void *userdata) {
    struct orphans *orphans = orphans_of(userdata);
    ssize_t got = read(device, buffer, size);
    if (got < 0 && errno == ECONNABORTED) /* a request was taken while it is unmounted: an end like any other */
        errno = ENODEV;
    if (got < (ssize_t)sizeof(struct fuse_in_header))
        return got;
    lock_acquire(&orphans->lock);
    note_locked(orphans, buffer, (const char *)buffer + sizeof(struct fuse_in_header));
    lock_release(&orphans->lock);
    return got;
}

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

static ssize_t give_answer(int device, struct iovec *parts, int count, void *userdata) {
    struct orphans *orphans = orphans_of(userdata);
    const struct fuse_out_header *head = parts[0].iov_base;
    struct put_off *ended = NULL;
    lock_acquire(&orphans->lock);
    struct under_way *each = find_locked(orphans, head->unique);
    bool late = each && each->answered;
    if (each && each->first)
        ask_for_parallel_lookups(parts, count);
    if (each)
        remove_locked(orphans, each);
    if (late)
        ended = take_put_off_locked(orphans);
    lock_release(&orphans->lock);
    if (!late)
        return writev(device, parts, count);
    do_put_off(ended);
    errno = ENOENT; /* as the kernel says it */
    return -1;
}

/* ---- whose program is dying ---- */

/* The numbers of /proc/PID/stat, behind the name, which may have anything in it. */
static bool read_stat(pid_t pid, char text[1024]) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    cleanup_fd int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file >= 0 ? read(file, text, 1023) : -1;
    if (size <= 0)
        return false;
    text[size] = '\0';
    char *behind = strrchr(text, ')');
    if (behind)
        memmove(text, behind + 1, strlen(behind + 1) + 1);
    return behind;
}

/* SIGKILL waits for it (as it does for each thread of a program that another signal ends), or it is on its way out. */
static bool is_dying(pid_t pid) {
    enum { STATE = 3, FLAGS = 9, PENDING = 31, EXITING = 0x4 };
    char text[1024], *rest = text, *word;
    unsigned long flags = 0, pending = 0;
    if (pid <= 0 || !read_stat(pid, text))
        return false;
    for (int field = STATE; field <= PENDING && (word = strsep(&rest, " ")); field++) {
        if (!*word)
            field--; /* the first is empty */
        else if (field == FLAGS)
            flags = strtoul(word, NULL, 10);
        else if (field == PENDING)
            pending = strtoul(word, NULL, 10);
    }
    return flags & EXITING || pending & (1UL << (SIGKILL - 1));
}

static void answer_locked(struct orphans *orphans, struct under_way *each) {
    struct fuse_out_header answer = {.len = sizeof answer, .error = -EINTR, .unique = each->unique};
    each->interrupted = false;
    orphans->interrupted--;
    each->answered = true; /* before: what lets go of its handle may be the next that is read */
    orphans->answered++;
    if (write(orphans->device, &answer, sizeof answer) < 0)
        log_debug("an orphaned request could not be answered: %s", strerror(errno));
}

/* Called with the lock, which it gives up while it looks. */
static void answer_orphans_locked(struct orphans *orphans) {
    struct under_way old[UNDER_WAY_MOST];
    unsigned count = 0;
    int64_t now = clock_now_ms();
    for (unsigned i = 0; i < orphans->count; i++)
        if (orphans->list[i].interrupted && now - orphans->list[i].since_ms >= PATIENCE_MS)
            old[count++] = orphans->list[i];
    for (unsigned i = 0; i < count; i++) {
        lock_release(&orphans->lock);
        bool dying = is_dying(old[i].pid);
        lock_acquire(&orphans->lock);
        struct under_way *each = dying ? find_locked(orphans, old[i].unique) : NULL;
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

struct orphans *orphans_new(struct fuse_session *session) {
    static const struct fuse_custom_io io = {.read = take_request, .writev = give_answer};
    struct orphans *orphans = calloc(1, sizeof *orphans);
    if (!orphans)
        return NULL;
    orphans->last = &orphans->first;
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
    condition_done(&orphans->changed);
    lock_done(&orphans->lock);
    free(orphans);
    return NULL;
}
