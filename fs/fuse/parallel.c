// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/parallel.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/uio.h>

#include "fs/fuse/operations.h"

enum { SAYS_IT_ITSELF = 317 };

static atomic_bool asked; /* one session a process */

/* The first answer of all is that to FUSE_INIT. What has no number is none. */
static bool is_first(const struct fuse_out_header *head) {
    return !atomic_load_explicit(&asked, memory_order_relaxed) && head->unique && !atomic_exchange(&asked, true);
}

static ssize_t give_answer(int device, struct iovec *parts, int count, void *userdata) {
    (void)userdata;
    struct fuse_init_out *said = is_first(parts[0].iov_base) && count == 2 ? parts[1].iov_base : NULL;
    if (said && parts[1].iov_len >= offsetof(struct fuse_init_out, max_background))
        said->flags |= FUSE_PARALLEL_DIROPS;
    return writev(device, parts, count);
}

/* libfuse wants one, and is not asked to read. */
static ssize_t take_request(int device, void *buffer, size_t size, void *userdata) {
    (void)device, (void)buffer, (void)size, (void)userdata;
    errno = EOPNOTSUPP;
    return -1;
}

int parallel_ask(struct fuse_session *session) {
    static const struct fuse_custom_io io = {.read = take_request, .writev = give_answer};
    return fuse_version() < SAYS_IT_ITSELF ? fuse_session_custom_io(session, &io, fuse_session_fd(session)) : 0;
}
