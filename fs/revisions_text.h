// SPDX-License-Identifier: Apache-2.0
/* The revisions of a file in JSON, for the page (page.h):
 *
 *     {"revisions":[{"id","date_ms","size","by","uid","sha256","state","until_ms"}],"more":false}
 *
 * the newest first. `state`: "current", "kept" or "retired"; `by`: "gridmount" or "application". What is not known is left out.
 *
 * Pure; any thread. */
#ifndef FS_REVISIONS_TEXT_H
#define FS_REVISIONS_TEXT_H

#include "fs/store/store.h"

enum { REVISIONS_TOLD = 50 }; /* of those that are among the files, and of those that were retired */

/* Of a list as the store gives it, of no more than REVISIONS_TOLD of either sort. To be freed; NULL without memory. */
char *revisions_text(const struct store_past *list, uint32_t count);

#endif
