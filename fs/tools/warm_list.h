// SPDX-License-Identifier: Apache-2.0
/* What is still to be done: directories to be listed and files to be read, handed out to the jobs.
 *
 *     add --> waiting --- take ---> with a job --- done ---> gone          all ends when nothing waits and nobody lists
 *
 * One directory is listed at a time while there are files to read, so the sum is known early and nobody is idle. Long files
 * are read WARM_LONG_MOST at a time, for the mount fetches no more at once, and what it reads ahead of each has to find room
 * on its way to cache_dir; short ones by all jobs.
 *
 * Threads: any. warm_list_take() and warm_list_sleep() wait, until warm_list_stop(). Memory: each item has its path; what
 * waits belongs to the list. */
#ifndef FS_TOOLS_WARM_LIST_H
#define FS_TOOLS_WARM_LIST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { WARM_LONG = 512 << 10, WARM_LONG_MOST = 2 };

/* A mount that something is read of. */
struct warm_mount {
    char *path;
    dev_t device;
    int64_t room;  /* bytes that its caches keep; INT64_MAX: not known */
    bool keeps;    /* it has a cache_dir */
    int64_t dropped; /* what that had not kept, before */
    int64_t bytes;   /* that were added of it, under the list's lock */
    atomic_int_least64_t unlooked; /* bytes read since it was last asked how full the queue of that is */
    struct warm_mount *next;
};

struct warm_item {
    struct warm_item *next;
    struct warm_mount *mount;
    int64_t size; /* of a file */
    char path[];
};

/* Items in order; zeros are an empty one. */
struct warm_queue {
    struct warm_item *first, *last;
};

struct warm_sum {
    int64_t files, bytes;
    bool complete; /* nothing is to be listed any more */
};

enum warm_kind { WARM_NOTHING, WARM_DIRECTORY, WARM_FILE };

struct warm_list;

/* NULL without memory. */
struct warm_item *warm_item_new(struct warm_mount *mount, const char *directory, const char *name, int64_t size);
void warm_queue_add(struct warm_queue *queue, struct warm_item *item);
void warm_queue_clear(struct warm_queue *queue);

/* NULL without memory. */
struct warm_list *warm_list_new(void);
/* Takes NULL, returns NULL. */
struct warm_list *warm_list_free(struct warm_list *list);
/* Takes over what is in both queues, of one mount. Returns whether now for the first time it is more than has room there. */
bool warm_list_add(struct warm_list *list, struct warm_queue *directories, struct warm_queue *files);
/* WARM_NOTHING: all is done, or it was stopped. */
enum warm_kind warm_list_take(struct warm_list *list, struct warm_item **ret_item);
/* Frees it. */
void warm_list_done(struct warm_list *list, enum warm_kind kind, struct warm_item *item);
struct warm_sum warm_list_sum(struct warm_list *list);
/* Sleeps; returns whether it was not stopped. */
bool warm_list_sleep(struct warm_list *list, int64_t ms);
void warm_list_stop(struct warm_list *list);

#endif
