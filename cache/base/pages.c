// SPDX-License-Identifier: Apache-2.0
#include "cache/base/pages.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "cache/base/lock.h"

/* A large piece is a range of pages that begins with this. Its mark names its own place, and pages come as zeros from
 * the system, so that no memory of malloc's looks like one. */
struct piece {
    uintptr_t mark;
    size_t size;   /* bytes, whole pages */
    size_t wanted; /* bytes that were asked for: what grows may have more */
} __attribute__((__aligned__(16)));

struct range {
    unsigned char *start;
    size_t size;
};

enum { PAGE = 4096, RANGES = 256 };
static const uintptr_t mark = (uintptr_t)0x6772696470616765;

/* What is kept for the next. It is the process's, as malloc's is: who frees knows nothing but an address. */
static struct lock lock = {.mutex = PTHREAD_MUTEX_INITIALIZER, .rank = LOCK_PAGES};
static struct range idle[RANGES]; /* oldest first */
static unsigned idle_count;
static size_t idle_bytes;

/* A sanitizer looks after malloc's pieces only. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = true };
#elif defined(__clang__) && defined(__has_feature)
enum { SANITIZED = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) };
#else
enum { SANITIZED = false };
#endif

static bool is_large(size_t size) {
    return !SANITIZED && size >= PAGES_LEAST && size <= PTRDIFF_MAX;
}

static size_t whole_pages(size_t size) {
    return (size + sizeof(struct piece) + PAGE - 1) & ~(size_t)(PAGE - 1);
}

/* The piece that memory is in, or NULL: it is malloc's. */
static struct piece *piece_of(const void *memory) {
    if (SANITIZED || (uintptr_t)memory % PAGE != sizeof(struct piece))
        return NULL;
    struct piece *piece = (struct piece *)((uintptr_t)memory - sizeof *piece);
    return piece->mark == (mark ^ (uintptr_t)piece) ? piece : NULL;
}

static void *memory_of(struct range range, size_t wanted) {
    struct piece *piece = (struct piece *)(void *)range.start;
    *piece = (struct piece){mark ^ (uintptr_t)piece, range.size, wanted};
    return piece + 1;
}

/* ---- what is idle ---- */

static struct range remove_locked(unsigned index) {
    struct range range = idle[index];
    idle_count--;
    idle_bytes -= range.size;
    memmove(idle + index, idle + index + 1, (idle_count - index) * sizeof *idle);
    return range;
}

/* The least range that is large enough, or else the largest; idle_count: there is none. */
static unsigned best_locked(size_t size) {
    unsigned best = idle_count;
    for (unsigned i = 0; i < idle_count; i++) {
        size_t now = idle[i].size, so_far = best < idle_count ? idle[best].size : 0;
        if (best == idle_count || (now >= size ? now < so_far || so_far < size : so_far < size && now > so_far))
            best = i;
    }
    return best;
}

/* An idle range that is large enough, as it is; or of size 0. */
static struct range take_larger(size_t size) {
    struct range range = {0};
    lock_acquire(&lock);
    unsigned best = best_locked(size);
    if (best < idle_count && idle[best].size >= size)
        range = remove_locked(best);
    lock_release(&lock);
    return range;
}

/* An idle range of at most `size`, or of size 0. */
static struct range take_idle(size_t size) {
    struct range range = {0};
    lock_acquire(&lock);
    unsigned best = best_locked(size);
    if (best < idle_count && idle[best].size > size) { /* the rest of it stays */
        range = (struct range){idle[best].start, size};
        idle[best].start += size;
        idle[best].size -= size;
        idle_bytes -= size;
    } else if (best < idle_count) {
        range = remove_locked(best);
    }
    lock_release(&lock);
    return range;
}

/* Keeps a range, whose place goes to those that are too much for it. */
static void put_idle(struct range range) {
    ((struct piece *)(void *)range.start)->mark = 0;
    while (range.size) {
        struct range oldest = {0};
        lock_acquire(&lock);
        if (range.size > PAGES_IDLE) {
            oldest = range;
        } else if (idle_count == RANGES || idle_bytes + range.size > PAGES_IDLE) {
            oldest = remove_locked(0);
        } else {
            idle[idle_count++] = range;
            idle_bytes += range.size;
        }
        lock_release(&lock);
        if (oldest.size)
            munmap(oldest.start, oldest.size);
        if (!oldest.size || oldest.start == range.start)
            return;
    }
}

size_t pages_idle(void) {
    lock_acquire(&lock);
    size_t bytes = idle_bytes;
    lock_release(&lock);
    return bytes;
}

/* ---- pieces ---- */

/* To another size, of whole pages; false: it is as it was. */
static bool stretch(struct range *range, size_t size) {
    void *start = range->size == size ? range->start : mremap(range->start, range->size, size, MREMAP_MAYMOVE);
    if (start == MAP_FAILED)
        return false;
    *range = (struct range){start, size};
    return true;
}

void *pages_new(size_t size) {
    if (!is_large(size))
        return malloc(size);
    size_t pages = whole_pages(size);
    struct range range = take_idle(pages);
    if (range.size && stretch(&range, pages))
        return memory_of(range, size);
    if (range.size)
        munmap(range.start, range.size);
    void *start = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return start == MAP_FAILED ? malloc(size) : memory_of((struct range){start, pages}, size);
}

/* What grows will grow again: it gets all of an idle range. */
static void *grown(struct piece *piece, size_t size) {
    if (whole_pages(size) <= piece->size) {
        piece->wanted = size;
        return piece + 1;
    }
    struct range range = take_larger(whole_pages(size));
    if (!range.size) {
        range = (struct range){(unsigned char *)piece, piece->size};
        return stretch(&range, whole_pages(size)) ? memory_of(range, size) : NULL;
    }
    void *memory = memory_of(range, size);
    memcpy(memory, piece + 1, piece->wanted);
    pages_free(piece + 1);
    return memory;
}

/* A few pages less are not worth a call of the system. */
static void *shrunk(struct piece *piece, size_t size) {
    enum { KEPT = 64 };
    if (piece->size - whole_pages(size) <= piece->size / KEPT) {
        piece->wanted = size;
        return piece + 1;
    }
    struct range range = {(unsigned char *)piece, piece->size};
    return stretch(&range, whole_pages(size)) ? memory_of(range, size) : NULL;
}

/* Between malloc's pieces and large ones. */
static void *moved(void *memory, size_t there, size_t size) {
    void *other = pages_new(size);
    if (!other)
        return NULL;
    if (there)
        memcpy(other, memory, there < size ? there : size);
    pages_free(memory);
    return other;
}

void *pages_resize(void *memory, size_t size) {
    struct piece *piece = piece_of(memory);
    if (piece && is_large(size))
        return size > piece->wanted ? grown(piece, size) : shrunk(piece, size);
    if (piece)
        return moved(memory, piece->wanted, size);
    return is_large(size) && memory ? moved(memory, malloc_usable_size(memory), size)
           : memory                 ? realloc(memory, size)
                                    : pages_new(size);
}

void pages_free(void *memory) {
    struct piece *piece = piece_of(memory);
    if (piece)
        put_idle((struct range){(unsigned char *)piece, piece->size});
    else
        free(memory);
}
