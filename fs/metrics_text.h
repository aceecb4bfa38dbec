// SPDX-License-Identifier: Apache-2.0
/* The state of a mount for a monitoring system: what .gridfs/metrics holds, in the OpenMetrics text format 1.0
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/).
 *
 * Names begin with `gridmount_`; those of the counters are those of stats.def, with `_total`. Each label has few values: no
 * name of a file is in it.
 * Pure but for the counters it reads; never blocks, so it answers with the server away. */
#ifndef FS_METRICS_TEXT_H
#define FS_METRICS_TEXT_H

#include "fs/status_text.h"

/* To be freed; NULL without memory. */
char *metrics_text(const struct status_facts *facts);

#endif
