/* How much memory the process may use: what the cgroup allows, or what the machine has. */
#ifndef FS_MEMORY_LIMIT_H
#define FS_MEMORY_LIMIT_H

#include <stdint.h>

/* Bytes. */
int64_t memory_limit(void);

#endif
