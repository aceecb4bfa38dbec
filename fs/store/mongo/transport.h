// SPDX-License-Identifier: Apache-2.0
/* How the replies to a client's questions are read off its connections: the driver's transport, but for what it does with
 * large ones.
 *
 * The driver reads each reply whole into a buffer of the connection's, copies it from there, and keeps the buffer, as large
 * as the largest reply has ever been, twice that at the worst: with many connections that is far more than a cache is
 * allowed. Here only small reads are buffered; what is larger goes from the socket straight to its place.
 *
 * Threads: as a client, one at a time.
 * Memory: TRANSPORT_BUFFER bytes for each connection.
 * Errors: those of the driver's transport below, which also connects, encrypts, writes and ends. */
#ifndef FS_STORE_MONGO_TRANSPORT_H
#define FS_STORE_MONGO_TRANSPORT_H

#include <mongoc/mongoc.h>

enum { TRANSPORT_BUFFER = 16 << 10 };

/* For the connections that this client makes from now on. */
void transport_use(mongoc_client_t *client);

#endif
