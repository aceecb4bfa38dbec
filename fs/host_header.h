// SPDX-License-Identifier: Apache-2.0
/* Whether a browser meant this machine: what stands in the header `Host` of a request.
 *
 * A web site that a browser shows may have its own name lead to 127.0.0.1 (DNS rebinding): what is answered then, the
 * browser takes for the site's, and gives it. It cannot do so with a number, with `localhost`, or with the name that
 * whoever mounted chose.
 *
 * Pure; any thread. */
#ifndef FS_HOST_HEADER_H
#define FS_HOST_HEADER_H

#include <stdbool.h>

/* `header`: HOST or HOST:PORT, any port; NULL: there is none, so it is refused. `chosen`: a name; NULL: none was. */
bool host_header_is_ours(const char *header, const char *chosen);

#endif
