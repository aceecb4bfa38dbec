// SPDX-License-Identifier: Apache-2.0
#include "fs/trim.h"

#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

enum { WORTH = 8 << 20, ALLOWED = 24 << 20 };

/* Bytes resident beyond `accounted`; 0 when that cannot be told. */
static size_t excess(size_t accounted) {
    unsigned long long size, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(file);
    resident *= (unsigned long long)sysconf(_SC_PAGESIZE);
    return resident > accounted ? (size_t)(resident - accounted) : 0;
}

void trim_tick(struct trim *trim, size_t accounted) {
    size_t now = excess(accounted);
    if (now < trim->least)
        trim->least = now;
    if (now < ALLOWED || now < trim->least + WORTH)
        return;
    malloc_trim(0);
    trim->least = excess(accounted);
}
