// SPDX-License-Identifier: Apache-2.0
/* Cleanup by scope, and ownership that visibly moves.
 *
 *     cleanup_free char *path = path_of(inode);   // freed at the end of the scope
 *     *ret_path = steal_ptr(&path);               // unless it is given away
 */
#ifndef CACHE_BASE_CLEANUP_H
#define CACHE_BASE_CLEANUP_H

#include <stdlib.h>
#include <unistd.h>

/* What the name of a type's destructor, applied at the end of a scope, is called with. */
#define DEFINE_CLEANUP(type, destructor)                          \
    static inline void destructor##_cleanup(type **object) {      \
        if (*object)                                              \
            destructor(*object);                                  \
    }

#define cleanup_with(destructor) __attribute__((__cleanup__(destructor##_cleanup)))

static inline void free_cleanup(void *pointer) {
    free(*(void **)pointer);
}

static inline void close_cleanup(int *fd) {
    if (*fd >= 0)
        close(*fd);
}

#define cleanup_free __attribute__((__cleanup__(free_cleanup)))
#define cleanup_fd __attribute__((__cleanup__(close_cleanup)))

/* The value of *pointer, which becomes NULL: the caller of steal_ptr() owns it from here on. */
#define steal_ptr(pointer)                      \
    ({                                          \
        __typeof__(pointer) steal_at = (pointer); \
        __typeof__(*steal_at) stolen = *steal_at; \
        *steal_at = NULL;                       \
        stolen;                                 \
    })

#endif
