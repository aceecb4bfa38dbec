// SPDX-License-Identifier: Apache-2.0
/* A glance at one path: a few documents from "path" to below "path0", where there are the file "path", names like
 * "path.txt", and what lies below "path/". One that lies below tells a directory, and when there are no more than a few,
 * these tell all: so one small question mostly is enough, in whatever order (servers that cannot stop early would sort all
 * that lies below a directory, only to show that it is one). Where it is not, a second one asks in descending order: what
 * lies below comes first, "path" itself last, newest revision first. Where these do not reach as far as the answer,
 * that is said.
 *
 * Threads: any. Memory: what a glance found is the caller's, as store_entry has it. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_GLANCE_H
#define FS_STORE_MONGO_GLANCE_H

#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/document.h"

enum { GLANCE = 8 }; /* documents */

/* What files have at one spelling of a path. */
struct glance {
    char *witness; /* something below: a directory */
    struct revision *revision;
    bool unsure; /* the newest revision may not be among what was seen */
};

/* What nodes have. */
struct node_glance {
    const char *path;
    size_t size;
    unsigned seen;
    bool below, here;
    struct store_entry *entry; /* the node goes here */
    struct document_link link; /* or here, if it is a further name */
};

int glance_files(struct bucket *bucket, const char *path, struct glance *ret_glance);
/* The node itself: `glance` has what it is to look for. */
int glance_node(struct bucket *bucket, struct node_glance *glance);
/* And what is below it. */
int glance_nodes(struct bucket *bucket, struct node_glance *glance);
/* Files and nodes by one question. 0; or 1 when the server would not, or should not, and nothing was found. */
int glance_both(struct bucket *bucket, const char *path, struct glance *ret_files, struct node_glance *nodes);
/* Whether any node lies below a path, among more neighbours than a glance shows. */
int glance_below(struct bucket *bucket, const char *path);

#endif
