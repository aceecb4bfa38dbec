// SPDX-License-Identifier: Apache-2.0
/* What the commands of past.h share; included by them only.
 *
 * Errors: false, and said on standard error. */
#ifndef FS_TOOLS_PAST_PRIVATE_H
#define FS_TOOLS_PAST_PRIVATE_H

#include <stddef.h>
#include <stdio.h>

#include "fs/tools/past.h"
#include "fs/tools/tools.h"

enum { PAST_ID_MOST = 1024 };

/* The revisions of a file. */
struct past {
    const char *path; /* as it was named; lent */
    char *real;       /* without symlinks */
    char *directory;  /* where its revisions are */
    char **names;     /* of them there, the newest first */
    size_t count;
    char current[PAST_ID_MOST]; /* the _id of the file as it is now; "": it is not there */
};

bool past_find(const char *path, struct past *ret_revisions);
void past_done(struct past *revisions);
/* The _id in a name, and the size of the date in front of it. */
const char *past_id(const char *name);
size_t past_date_size(const char *name);
/* What an extended attribute says, as text. 0; or -errno, -ENODATA where there is none, and "". */
int past_attribute(const char *path, const char *attribute, char *into, size_t size);
/* Those of "PATH@REV", and the name of the one that is meant, lent by them. *ret_path, to be freed, is what `path` of them
 * lends. */
bool past_choose(const char *argument, char **ret_path, struct past *ret_revisions, const char **ret_name);
/* "gridmount: " and the path, fit for a terminal, before what is wrong with it. */
void past_complain(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));

int past_log(const char *path, bool json);
int past_restore(const char *argument);
int past_diff(const char *one, const char *other);

#endif
