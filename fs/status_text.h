/* The state of a mount in words and in JSON: what .gridfs/status and status.json hold.
 *
 * Pure but for the counters it reads; never blocks, so it answers with the server away. */
#ifndef FS_STATUS_TEXT_H
#define FS_STATUS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct status_facts {
    bool healthy, read_only;
    bool told; /* of changes by others, by the server itself */
    const char *server, *database, *bucket, *mountpoint; /* without secrets */
    time_t uptime_seconds;
    size_t cache_size, cache_used; /* bytes */
};

/* To be freed; NULL without memory. */
char *status_text(const struct status_facts *facts, bool json);

#endif
