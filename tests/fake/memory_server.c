// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "tests/fake/memory_store.h"

enum { BUCKETS_MOST = 16 };

struct memory_server {
    struct server server; /* first */
    struct memory_store *stores[BUCKETS_MOST];
    unsigned count;
};

struct memory_store *memory_server_bucket(struct server *server, const char *name) {
    struct memory_server *memory = (struct memory_server *)server;
    for (unsigned i = 0; i < memory->count; i++)
        if (strcmp(memory_store_store(memory->stores[i])->bucket, name) == 0)
            return memory->stores[i];
    CHECK(memory->count < BUCKETS_MOST);
    return memory->stores[memory->count++] = memory_store_new(name);
}

static int buckets(struct server *server, char ***ret_names) {
    struct memory_server *memory = (struct memory_server *)server;
    char **names = calloc(memory->count + 1, sizeof *names);
    CHECK(names);
    for (unsigned i = 0; i < memory->count; i++)
        names[i] = strdup(memory_store_store(memory->stores[i])->bucket);
    *ret_names = names;
    return 0;
}

static int bucket(struct server *server, const char *name, struct store **ret_store) {
    *ret_store = memory_store_store(memory_server_bucket(server, name));
    return 0;
}

static bool healthy(struct server *server) {
    (void)server;
    return true;
}

static struct server *server_free(struct server *server) {
    struct memory_server *memory = (struct memory_server *)server;
    for (unsigned i = 0; i < memory->count; i++)
        memory_store_free(memory->stores[i]);
    free(memory);
    return NULL;
}

static const struct server_ops operations = {
    .buckets = buckets,
    .bucket = bucket,
    .healthy = healthy,
    .free = server_free,
};

struct server *memory_server_new(void) {
    struct memory_server *memory = calloc(1, sizeof *memory);
    CHECK(memory);
    memory->server.ops = &operations;
    return &memory->server;
}
