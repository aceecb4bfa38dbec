// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/watch.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change_event.h"

struct watch {
    struct bucket *bucket;
    struct connection *connection;
    struct holder *holder; /* this mount, as it locks */
    struct change_collections collections;
    struct store_listener listener;
    pthread_t thread;
    /* of the thread */
    mongoc_client_t *client;
    mongoc_client_session_t *session; /* the cursor's; NULL where servers have none */
    uint32_t member;                  /* the driver's number of the server that has the cursor */
    bson_t *token;  /* behind what was told last; NULL: there is none */
    bool told;      /* the listener believes that it is told all */
    /* under the lock, which is held while the listener is called: then unwatch() is the end of it */
    struct lock lock;
    int64_t cursor; /* 0: the stream is closed; set by the thread only */
    struct condition stopping;
    bool stopped;
};

/* ---- telling ---- */

static bool is_stopped(struct watch *watch) {
    lock_acquire(&watch->lock);
    bool stopped = watch->stopped;
    lock_release(&watch->lock);
    return stopped;
}

/* What was believed before is not to be part of an answer from now on. */
static void tell_watching(struct watch *watch) {
    if (!watch->told) {
        bucket_doubt_spellings(watch->bucket);
        watch->listener.watching(watch->listener.context);
        if (watch->listener.names)
            bucket_told_of_spellings(watch->bucket, true);
    }
    watch->told = true;
}

static void tell_lost(struct watch *watch, const char *reason) {
    if (watch->told) {
        log_info("changes by others are not told any more, and asked for: %s", reason);
        watch->listener.lost(watch->listener.context);
        bucket_told_of_spellings(watch->bucket, false);
    }
    watch->told = false;
    if (watch->token)
        bson_destroy(watch->token);
    watch->token = NULL;
}

/* ---- asking ---- */

/* Those of a replica set and behind mongos, by what the driver has heard of each. */
static bool tells_changes(const mongoc_server_description_t *server) {
    const char *type = mongoc_server_description_type(server);
    return strncmp(type, "RS", 2) == 0 || strcmp(type, "Mongos") == 0 || strcmp(type, "LoadBalancer") == 0;
}

/* Asks nothing: a mount should not come up a round trip later for it. */
static int find_out_whether(struct watch *watch) {
    size_t count = 0;
    mongoc_client_t *client = connection_pop(watch->connection);
    mongoc_server_description_t **servers = client ? mongoc_client_get_server_descriptions(client, &count) : NULL;
    int result = count ? -EOPNOTSUPP : -ETIMEDOUT;
    for (size_t i = 0; i < count && result; i++)
        result = tells_changes(servers[i]) ? 0 : -EOPNOTSUPP;
    if (servers)
        mongoc_server_descriptions_destroy_all(servers, count);
    if (client)
        connection_push(watch->connection, client);
    return result;
}

/* A question to the member that has the cursor, or to the primary. *ret_reply is initialised in any case. */
static bool ask(struct watch *watch, const bson_t *question, bson_t *ret_reply, bson_error_t *ret_error) {
    bson_t options = BSON_INITIALIZER;
    bson_error_t unusable;
    BSON_APPEND_INT32(&options, "serverId", (int32_t)watch->member);
    if (watch->session)
        (void)mongoc_client_session_append(watch->session, &options, &unusable);
    bool done = mongoc_client_command_with_opts(watch->client, connection_database(watch->connection), question, NULL,
                                                &options, ret_reply, ret_error);
    bson_destroy(&options);
    return done;
}

static void end_session(struct watch *watch) {
    if (watch->session)
        mongoc_client_session_destroy(watch->session);
    watch->session = NULL;
}

/* A cursor is read on in the session, and from the member, that it was opened with. */
static bool begin_session(struct watch *watch, bson_error_t *ret_error) {
    bson_error_t none;
    end_session(watch);
    mongoc_server_description_t *member = mongoc_client_select_server(watch->client, true, NULL, ret_error);
    if (!member)
        return false;
    watch->member = mongoc_server_description_id(member);
    mongoc_server_description_destroy(member);
    watch->session = mongoc_client_start_session(watch->client, NULL, &none);
    return true;
}

static void tell_event(struct watch *watch, const bson_t *event) {
    struct store_change change;
    int result = change_event_read(event, &watch->collections, &change);
    stats_add(STAT_changes_told, 1);
    if (change_event_is_spelled(event)) /* who asks now is to find it */
        bucket_note_spelling(watch->bucket);
    if (result < 0) /* no memory for what changed */
        watch->listener.changed(watch->listener.context, &(struct store_change){.kind = STORE_CHANGE_ANY});
    if (result <= 0)
        return;
    if (change.kind == STORE_CHANGE_ANY)
        bucket_doubt_spellings(watch->bucket);
    watch->listener.changed(watch->listener.context, &change);
    change_event_done(&change);
}

static void take_token(struct watch *watch, bson_iter_t *value) {
    bson_t token;
    uint32_t size;
    const uint8_t *bytes;
    if (!BSON_ITER_HOLDS_DOCUMENT(value))
        return;
    bson_iter_document(value, &size, &bytes);
    if (!bson_init_static(&token, bytes, size))
        return;
    if (watch->token)
        bson_destroy(watch->token);
    watch->token = bson_copy(&token);
}

static void tell_batch(struct watch *watch, bson_iter_t *batch) {
    bson_iter_t each;
    bool more = BSON_ITER_HOLDS_ARRAY(batch) && bson_iter_recurse(batch, &each);
    while (more && bson_iter_next(&each)) {
        bson_t event;
        uint32_t size = 0;
        const uint8_t *bytes = NULL;
        if (BSON_ITER_HOLDS_DOCUMENT(&each))
            bson_iter_document(&each, &size, &bytes);
        if (bytes && bson_init_static(&event, bytes, size))
            tell_event(watch, &event);
    }
}

/* Tells what a reply has, and keeps where it ends. */
static void take_reply(struct watch *watch, const bson_t *reply) {
    bson_iter_t root, value;
    stats_add(STAT_stream_answers, 1);
    lock_acquire(&watch->lock);
    if (!watch->stopped) {
        if (bson_iter_init(&root, reply) && bson_iter_find_descendant(&root, "cursor.id", &value))
            watch->cursor = bson_iter_as_int64(&value);
        tell_watching(watch);
        watch->collections.mount = holder_mount(watch->holder);
        static const char *const batches[] = {"cursor.firstBatch", "cursor.nextBatch"};
        for (size_t i = 0; i < 2; i++)
            if (bson_iter_init(&root, reply) && bson_iter_find_descendant(&root, batches[i], &value))
                tell_batch(watch, &value);
        watch->listener.heard(watch->listener.context);
        if (bson_iter_init(&root, reply) && bson_iter_find_descendant(&root, "cursor.postBatchResumeToken", &value))
            take_token(watch, &value);
    }
    lock_release(&watch->lock);
}

/* ---- the thread ---- */

static bool open_stream(struct watch *watch, bson_error_t *ret_error) {
    if (!begin_session(watch, ret_error))
        return false;
    bson_t *stages = change_event_pipeline(&watch->collections, watch->token), reply;
    bson_t *question = BCON_NEW("aggregate", BCON_INT32(1), "cursor", "{", "}");
    bson_concat(question, stages);
    bool opened = ask(watch, question, &reply, ret_error);
    if (opened)
        take_reply(watch, &reply);
    bson_destroy(&reply);
    bson_destroy(question);
    bson_destroy(stages);
    return opened;
}

static bool read_stream(struct watch *watch, bson_error_t *ret_error) {
    bson_t *question = BCON_NEW("getMore", BCON_INT64(watch->cursor), "collection", "$cmd.aggregate", "maxTimeMS",
                                BCON_INT64(WATCH_AWAIT_MS)), reply;
    bool answered = ask(watch, question, &reply, ret_error);
    if (answered)
        take_reply(watch, &reply);
    bson_destroy(&reply);
    bson_destroy(question);
    return answered;
}

static void rest(struct watch *watch, int64_t milliseconds) {
    lock_acquire(&watch->lock);
    if (!watch->stopped)
        (void)condition_wait_for(&watch->stopping, &watch->lock, milliseconds);
    lock_release(&watch->lock);
}

static void lose(struct watch *watch, const bson_error_t *error) {
    lock_acquire(&watch->lock);
    if (!watch->stopped)
        tell_lost(watch, error->message);
    lock_release(&watch->lock);
    rest(watch, WATCH_AGAIN_MS);
}

static void forget_cursor(struct watch *watch) {
    lock_acquire(&watch->lock);
    watch->cursor = 0;
    lock_release(&watch->lock);
}

/* One question, and what follows from its answer. An error of the server's own is not the end while there is a token:
 * what happened meanwhile is told behind it. One of the network is: it may last. */
static void step(struct watch *watch) {
    bson_error_t error = {0};
    bool resumes = watch->token && watch->cursor;
    if (watch->cursor ? read_stream(watch, &error) : open_stream(watch, &error)) {
        if (watch->cursor) {
            rest(watch, WATCH_GATHER_MS);
            return;
        }
        bson_set_error(&error, MONGOC_ERROR_CURSOR, 0, "the database or a collection of it was dropped");
        resumes = false;
    }
    bool refused = error.domain == MONGOC_ERROR_SERVER;
    forget_cursor(watch);
    if (resumes && refused && !is_stopped(watch) && open_stream(watch, &error) && watch->cursor)
        return;
    lose(watch, &error);
}

static void *run(void *argument) {
    struct watch *watch = argument;
    while (!is_stopped(watch))
        step(watch);
    return NULL;
}

static struct watch *watch_free(struct watch *watch) {
    if (watch->token)
        bson_destroy(watch->token);
    end_session(watch);
    if (watch->client)
        mongoc_client_destroy(watch->client);
    condition_done(&watch->stopping);
    lock_done(&watch->lock);
    free(watch);
    return NULL;
}

void watch_tell_unsure(struct bucket *bucket, const char *path) {
    struct watch *watch = atomic_load(&bucket->watch);
    if (!watch || !watch->listener.names)
        return;
    lock_acquire(&watch->lock);
    if (!watch->stopped)
        watch->listener.changed(watch->listener.context, &(struct store_change){.kind = STORE_CHANGE_CAME, .path = path});
    lock_release(&watch->lock);
}

int bucket_watch(struct store *store, const struct store_listener *listener) {
    struct bucket *bucket = (struct bucket *)store;
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    watch->bucket = bucket;
    watch->connection = bucket->connection;
    watch->holder = &bucket->holder;
    watch->listener = *listener;
    if (listener->names)
        watch->collections = (struct change_collections){.files = bucket->files, .nodes = bucket->nodes};
    if (listener->locks)
        watch->collections.locks = bucket->locks;
    lock_init(&watch->lock, LOCK_WATCH);
    condition_init(&watch->stopping);
    int result = find_out_whether(watch);
    if (result == 0 && !(watch->client = connection_client(bucket->connection, WATCH_SILENCE_MS)))
        result = -ENOMEM;
    if (result == 0)
        result = -pthread_create(&watch->thread, NULL, run, watch);
    if (result)
        watch_free(watch);
    else
        atomic_store(&bucket->watch, watch);
    return result;
}

void bucket_unwatch(struct store *store) {
    struct watch *watch = ((struct bucket *)store)->watch;
    if (!watch)
        return;
    lock_acquire(&watch->lock);
    watch->stopped = true;
    condition_broadcast(&watch->stopping);
    lock_release(&watch->lock);
}

/* The thread may be waiting for news: that ends with its cursor. */
static void wake(struct watch *watch) {
    lock_acquire(&watch->lock);
    int64_t cursor = watch->cursor;
    lock_release(&watch->lock);
    if (!cursor || !connection_healthy(watch->connection))
        return;
    bson_t *question = BCON_NEW("killCursors", "$cmd.aggregate", "cursors", "[", BCON_INT64(cursor), "]"), reply;
    bson_error_t error;
    (void)connection_command(watch->connection, question, &reply, &error); /* else it ends by itself, soon */
    bson_destroy(&reply);
    bson_destroy(question);
}

void watch_done(struct bucket *bucket) {
    if (!bucket->watch)
        return;
    bucket_unwatch(&bucket->store);
    wake(bucket->watch);
    pthread_join(bucket->watch->thread, NULL);
    bucket->watch = watch_free(bucket->watch);
}
