// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/server.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <uthash.h>

#include "cache/base/cleanup.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/pages.h"
#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/indexes.h"
#include "fs/store/mongo/upload.h"
#include "fs/store/names.h"

struct known_bucket {
    struct bucket *bucket;
    UT_hash_handle hh;
    char name[];
};

struct mongo_server {
    struct server server; /* first */
    struct connection *connection;
    struct uploaders *uploaders;
    struct server_config config; /* its strings belong to the caller of server_open() */
    struct lock lock; /* guards the table */
    struct known_bucket *table;
};

static int open_bucket(struct server *server, const char *name, struct store **ret_store) {
    struct mongo_server *mongo = (struct mongo_server *)server;
    struct known_bucket *known;
    int result = 0;
    lock_acquire(&mongo->lock);
    HASH_FIND_STR(mongo->table, name, known);
    if (!known) {
        known = calloc(1, sizeof *known + strlen(name) + 1);
        result = known ? bucket_new(mongo->connection, mongo->uploaders, name, &mongo->config, &known->bucket)
                       : -ENOMEM;
        if (result == 0) {
            strcpy(known->name, name);
            HASH_ADD_KEYPTR(hh, mongo->table, known->name, strlen(name), known);
        } else {
            free(known);
        }
    }
    if (result == 0)
        *ret_store = &known->bucket->store;
    lock_release(&mongo->lock);
    return result;
}

struct names {
    char **list;
    size_t count;
};

static int add_name(struct names *names, const char *name, size_t size) {
    char **list = realloc(names->list, (names->count + 2) * sizeof *list);
    if (!list)
        return -ENOMEM;
    names->list = list;
    list[names->count] = strndup(name, size);
    if (!list[names->count])
        return -ENOMEM;
    list[++names->count] = NULL;
    return 0;
}

static bool ends_in(const char *name, const char *end, size_t *ret_size) {
    size_t size = strlen(name), tail = strlen(end);
    if (size <= tail || strcmp(name + size - tail, end) != 0)
        return false;
    *ret_size = size - tail;
    return true;
}

/* A bucket is what has a files collection. */
static int list_buckets(struct server *server, char ***ret_names) {
    struct mongo_server *mongo = (struct mongo_server *)server;
    struct names names = {.list = calloc(1, sizeof(char *))};
    mongoc_client_t *client = connection_pop(mongo->connection);
    if (!client || !names.list) {
        free(names.list);
        return client ? (connection_push(mongo->connection, client), -ENOMEM) : -ETIMEDOUT;
    }
    bson_error_t error;
    mongoc_database_t *database = mongoc_client_get_database(client, server->database);
    char **collections = mongoc_database_get_collection_names_with_opts(database, NULL, &error);
    int result = collections ? 0 : connection_errno(&error, "listCollections");
    for (char **name = collections; result == 0 && *name; name++) {
        size_t size;
        if (ends_in(*name, ".files", &size) && names_is_path(*name, size) && !memchr(*name, '/', size))
            result = add_name(&names, *name, size);
    }
    bson_strfreev(collections);
    mongoc_database_destroy(database);
    connection_push(mongo->connection, client);
    if (result)
        server_free_names(names.list);
    else
        *ret_names = names.list;
    return result;
}

static bool healthy(struct server *server) {
    return connection_healthy(((struct mongo_server *)server)->connection);
}

static int64_t round_trip_ms(struct server *server) {
    return connection_round_trip_ms(((struct mongo_server *)server)->connection);
}

static void settle(struct server *server) {
    struct mongo_server *mongo = (struct mongo_server *)server;
    struct known_bucket *known, *next;
    mongo->uploaders = uploaders_free(mongo->uploaders); /* what they still clean up is in a bucket */
    HASH_ITER(hh, mongo->table, known, next) {
        HASH_DEL(mongo->table, known);
        bucket_free(known->bucket);
        free(known);
    }
}

static struct server *mongo_free(struct server *server) {
    struct mongo_server *mongo = (struct mongo_server *)server;
    if (!mongo)
        return NULL;
    settle(server);
    connection_free(mongo->connection);
    lock_done(&mongo->lock);
    free(server->address);
    free(server->database);
    free(mongo);
    mongoc_cleanup();
    return NULL;
}

static const struct server_ops mongo_ops = {
    .buckets = list_buckets,
    .bucket = open_bucket,
    .healthy = healthy,
    .round_trip_ms = round_trip_ms,
    .settle = settle,
    .free = mongo_free,
};

/* The driver's own log would go to stderr, past ours; what matters of it comes back as errors too. */
static void take_log(mongoc_log_level_t level, const char *domain, const char *message, void *context) {
    (void)context;
    if (level < MONGOC_LOG_LEVEL_DEBUG) /* below is what we have it do at each question */
        log_debug("%s: %s", domain, message);
}

void server_leave_no_file(void) {
    char name[32];
    snprintf(name, sizeof name, "/mongoc-%ld", (long)getpid());
    (void)shm_unlink(name); /* not there: just as well */
}

static void *zeroed(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    void *memory = bytes < PAGES_LEAST ? calloc(1, bytes) : pages_new(bytes);
    return memory && bytes >= PAGES_LEAST ? memset(memory, 0, bytes) : memory;
}

/* Its large buffers too: replies become the cache's, batches are copied into messages. What it has allocated by now
 * may be freed by these all the same. */
static void give_memory_to_the_driver(void) {
    static const bson_mem_vtable_t functions = {.malloc = pages_new,
                                                .calloc = zeroed,
                                                .realloc = pages_resize,
                                                .free = pages_free,
                                                .aligned_alloc = aligned_alloc};
    bson_mem_set_vtable(&functions);
}

int server_open(const struct server_config *config, struct server **ret_server, char **ret_error) {
    give_memory_to_the_driver();
    mongoc_log_set_handler(take_log, NULL);
    mongoc_init();
    struct mongo_server *mongo = calloc(1, sizeof *mongo);
    if (!mongo)
        return -ENOMEM;
    lock_init(&mongo->lock, LOCK_SURVEY);
    mongo->server.ops = &mongo_ops;
    mongo->config = *config;
    mongo->uploaders = uploaders_new(config->budget);
    int result = mongo->uploaders ? connection_new(config, &mongo->connection, ret_error) : -ENOMEM;
    if (result == 0) {
        mongo->server.address = strdup(connection_address(mongo->connection));
        mongo->server.database = strdup(connection_database(mongo->connection));
        result = mongo->server.address && mongo->server.database ? 0 : -ENOMEM;
    }
    if (result)
        mongo_free(&mongo->server);
    else
        *ret_server = &mongo->server;
    return result;
}

int server_check_indexes(struct server *server, const char *bucket, bool create) {
    struct store *store;
    int result = open_bucket(server, bucket, &store);
    return result ? result : indexes_check((struct bucket *)store, create);
}
