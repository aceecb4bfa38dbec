// SPDX-License-Identifier: Apache-2.0
/* A mount to be told of, with a mountpoint that needs care. */
#ifndef TESTS_UNIT_STATUS_BENCH_H
#define TESTS_UNIT_STATUS_BENCH_H

#include "fs/status_text.h"

static const struct status_facts facts = {
    .healthy = true,
    .told_lag_ms = -1,
    .server = "host:27017",
    .database = "data",
    .bucket = "fs",
    .mountpoint = "/mnt/a \"quoted\" \\ back\nslash",
    .staging_dir = "/var/lib/gridmount/0123",
    .stop_ms = 8000,
    .uptime_seconds = 61,
    .cache_size = 256 << 20,
    .cache_used = 1 << 20,
};

#endif
