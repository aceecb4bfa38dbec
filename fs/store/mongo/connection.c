// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/connection.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/complaint.h"
#include "fs/store/mongo/greeting.h"
#include "fs/store/mongo/transport.h"

enum {
    POOL_SIZE = 64,
    ASKERS = 3,
    GREETED = 2,
    ASKED = 64,
    NEAR_MS = 1,
};

struct connection {
    mongoc_uri_t *uri;
    mongoc_client_pool_t *pool;
    struct workers *askers; /* of questions that are asked side by side */
    struct greeting greeting;
    char *address;
    char *database;
    atomic_int pins;
    int pins_most; /* a quarter of the pool, so that questions never starve */
    atomic_bool healthy;
    atomic_int_least64_t round_trip_us; /* the least seen */
};

/* The driver asks, and tells of it, in the thread that called it. Of a command that it sends once more the number stays. */
static _Thread_local uint64_t unanswered;
static _Thread_local int64_t failed_operation; /* the last, if it got no answer; else 0, which is none's */

static void count_started(const mongoc_apm_command_started_t *event) {
    int64_t operation = mongoc_apm_command_started_get_operation_id(event);
    stats_add(STAT_round_trips, 1);
    stats_add(STAT_retries, operation == failed_operation);
    failed_operation = 0;
}

/* That it does not answer is said by the questions that fail. */
static void note_health(struct connection *connection, bool healthy) {
    if (atomic_load(&connection->healthy) != healthy && !atomic_exchange(&connection->healthy, healthy) && healthy)
        log_info("the server answers again");
}

static void note_answer(const mongoc_apm_command_succeeded_t *event) {
    struct connection *connection = mongoc_apm_command_succeeded_get_context(event);
    int_least64_t took = mongoc_apm_command_succeeded_get_duration(event);
    int_least64_t least = atomic_load(&connection->round_trip_us);
    stats_add(STAT_answers, 1);
    note_health(connection, true);
    if (took < least)
        atomic_store(&connection->round_trip_us, took);
}

uint64_t connection_unanswered(void) {
    return unanswered;
}

/* A refusal is an answer too; only a broken connection is none. */
static void note_failure(const mongoc_apm_command_failed_t *event) {
    struct connection *connection = mongoc_apm_command_failed_get_context(event);
    bson_error_t error;
    mongoc_apm_command_failed_get_error(event, &error);
    bool away = error.domain == MONGOC_ERROR_STREAM || error.domain == MONGOC_ERROR_SERVER_SELECTION;
    stats_add(STAT_answers, !away);
    unanswered += away;
    failed_operation = away ? mongoc_apm_command_failed_get_operation_id(event) : 0;
    if (away)
        note_health(connection, false);
}

static void note_server(const mongoc_apm_server_opening_t *event) {
    struct connection *connection = mongoc_apm_server_opening_get_context(event);
    greeting_expect(&connection->greeting);
}

static void note_heartbeat_failure(const mongoc_apm_server_heartbeat_failed_t *event) {
    struct connection *connection = mongoc_apm_server_heartbeat_failed_get_context(event);
    bson_error_t error;
    mongoc_apm_server_heartbeat_failed_get_error(event, &error);
    greeting_heard(&connection->greeting, mongoc_apm_server_heartbeat_failed_get_host(event)->host_and_port, &error);
    note_health(connection, false);
}

static void note_heartbeat(const mongoc_apm_server_heartbeat_succeeded_t *event) {
    struct connection *connection = mongoc_apm_server_heartbeat_succeeded_get_context(event);
    greeting_heard(&connection->greeting, mongoc_apm_server_heartbeat_succeeded_get_host(event)->host_and_port, NULL);
    note_health(connection, true);
}

static void watch(struct connection *connection) {
    mongoc_apm_callbacks_t *callbacks = mongoc_apm_callbacks_new();
    mongoc_apm_set_command_started_cb(callbacks, count_started);
    mongoc_apm_set_command_succeeded_cb(callbacks, note_answer);
    mongoc_apm_set_command_failed_cb(callbacks, note_failure);
    mongoc_apm_set_server_opening_cb(callbacks, note_server);
    mongoc_apm_set_server_heartbeat_failed_cb(callbacks, note_heartbeat_failure);
    mongoc_apm_set_server_heartbeat_succeeded_cb(callbacks, note_heartbeat);
    mongoc_client_pool_set_apm_callbacks(connection->pool, callbacks, connection);
    mongoc_apm_callbacks_destroy(callbacks);
}

static void set_default(mongoc_uri_t *uri, const char *option, int milliseconds) {
    if (!mongoc_uri_has_option(uri, option))
        mongoc_uri_set_option_as_int32(uri, option, milliseconds);
}

/* The driver's defaults are too long for a filesystem: 30 s to select, 300 s on a socket. A question waits at two of
 * these points at most (a client and an answer; an answer, and when the connection broke a server to ask once more):
 * each has half of the time. */
static void set_timeouts(mongoc_uri_t *uri, int timeout_ms, int patience_ms) {
    int half = timeout_ms / 2;
    set_default(uri, MONGOC_URI_SERVERSELECTIONTIMEOUTMS, half);
    set_default(uri, MONGOC_URI_CONNECTTIMEOUTMS, half < 10000 ? half : 10000);
    set_default(uri, MONGOC_URI_SOCKETTIMEOUTMS, patience_ms > half ? patience_ms : half);
    set_default(uri, MONGOC_URI_WAITQUEUETIMEOUTMS, half);
    set_default(uri, MONGOC_URI_MAXPOOLSIZE, POOL_SIZE);
}

static char *address_of(const mongoc_uri_t *uri) {
    const mongoc_host_list_t *hosts = mongoc_uri_get_hosts(uri);
    const char *service = mongoc_uri_get_srv_hostname(uri);
    return strdup(hosts ? hosts->host_and_port : service ? service : "unknown");
}

/* Before it was heard of: a load balancer, which the driver does not listen to. */
static bool is_known(mongoc_client_t *client) {
    size_t known;
    mongoc_server_description_t **servers = mongoc_client_get_server_descriptions(client, &known);
    mongoc_server_descriptions_destroy_all(servers, known);
    return known > 0;
}

/* Waits for the first words of the servers, but not for long: who is silent is waited for by the first question. */
static int check_greeting(struct connection *connection, int timeout_ms, char **ret_error) {
    bson_error_t refusal;
    mongoc_client_t *client = connection_pop(connection); /* the first has the driver begin */
    if (!client)
        return 0;
    bool refused = !is_known(client) && greeting_refused(&connection->greeting, timeout_ms / 8, &refusal);
    connection_push(connection, client);
    if (refused)
        *ret_error = complaint_about(&refusal, connection->address);
    return refused ? -EIO : 0;
}

/* Opens a connection, for who asks while the first is in use: the first lookup of a program should not wait for it. Whoever
 * is refused here is told by the question beside it. */
static void greet(void *argument) {
    struct connection *connection = argument;
    mongoc_client_t *client = connection_pin(connection);
    if (!client)
        return;
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1)), reply;
    (void)mongoc_client_command_simple(client, connection->database, ping, NULL, &reply, NULL);
    bson_destroy(&reply);
    bson_destroy(ping);
    connection_unpin(connection, client);
}

/* Asks what every mount will ask, so that a missing role or password is found now. */
static int check_answer(struct connection *connection, const char *bucket, char **ret_error) {
    bson_error_t error = {0};
    bson_t reply;
    cleanup_free char *files = NULL;
    if (asprintf(&files, "%s.files", strcmp(bucket, "*") == 0 ? "fs" : bucket) < 0)
        return -ENOMEM;
    bson_t *question = BCON_NEW("find", BCON_UTF8(files), "filter", "{", "_id", BCON_INT32(0), "}", "limit",
                                BCON_INT64(1), "singleBatch", BCON_BOOL(true));
    int result = connection_command(connection, question, &reply, &error);
    if (result)
        *ret_error = complaint_about(&error, connection->address);
    bson_destroy(question);
    bson_destroy(&reply);
    return result;
}

static int open_pool(struct connection *connection, mongoc_uri_t *uri, const struct server_config *config,
                     char **ret_error) {
    bson_error_t error = {0};
    connection->address = address_of(uri);
    const char *named = mongoc_uri_get_database(uri), *database = named && *named ? named : config->database;
    if (!database || !*database) {
        *ret_error = strdup("no database named; add it to the URI (mongodb://host/DATABASE) or set DB_NAME");
        return -EINVAL;
    }
    connection->database = strdup(database);
    set_timeouts(uri, config->timeout_ms, config->patience_ms);
    connection->pins_most = mongoc_uri_get_option_as_int32(uri, MONGOC_URI_MAXPOOLSIZE, POOL_SIZE) / 4;
    if (!mongoc_uri_has_option(uri, MONGOC_URI_APPNAME))
        mongoc_uri_set_appname(uri, "gridmount");
    connection->pool = mongoc_client_pool_new_with_error(uri, &error);
    if (!connection->pool || !connection->database || !connection->address) {
        *ret_error = complaint_about(&error, connection->address);
        return -EIO;
    }
    connection->askers = workers_new(ASKERS, ASKED);
    if (!connection->askers)
        return -ENOMEM;
    mongoc_client_pool_set_error_api(connection->pool, MONGOC_ERROR_API_VERSION_2);
    watch(connection);
    int result = check_greeting(connection, config->timeout_ms, ret_error);
    for (unsigned i = 0; result == 0 && i < GREETED; i++)
        (void)workers_submit(connection->askers, greet, connection);
    return result ? result : check_answer(connection, config->bucket, ret_error);
}

int connection_new(const struct server_config *config, struct connection **ret_connection, char **ret_error) {
    bson_error_t error = {0};
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        return -ENOMEM;
    atomic_init(&connection->round_trip_us, INT32_MAX);
    atomic_init(&connection->healthy, true);
    greeting_init(&connection->greeting);
    mongoc_uri_t *uri = mongoc_uri_new_with_error(config->uri, &error);
    int result = -EINVAL;
    if (uri)
        result = open_pool(connection, uri, config, ret_error);
    else
        *ret_error = complaint_about_uri(&error);
    connection->uri = uri;
    if (result)
        connection_free(connection);
    else
        *ret_connection = connection;
    return result;
}

struct connection *connection_free(struct connection *connection) {
    if (!connection)
        return NULL;
    workers_free(connection->askers);
    CHECK(atomic_load(&connection->pins) == 0);
    if (connection->pool)
        mongoc_client_pool_destroy(connection->pool);
    if (connection->uri)
        mongoc_uri_destroy(connection->uri);
    greeting_done(&connection->greeting);
    free(connection->address);
    free(connection->database);
    free(connection);
    return NULL;
}

const char *connection_address(const struct connection *connection) {
    return connection->address;
}

const char *connection_database(const struct connection *connection) {
    return connection->database;
}

bool connection_healthy(const struct connection *connection) {
    return atomic_load(&connection->healthy);
}

int64_t connection_round_trip_ms(const struct connection *connection) {
    int64_t microseconds = atomic_load(&connection->round_trip_us);
    return microseconds == INT32_MAX ? 1 : (microseconds + 999) / 1000;
}

mongoc_client_t *connection_pop(struct connection *connection) {
    mongoc_client_t *client = mongoc_client_pool_pop(connection->pool);
    if (client)
        transport_use(client); /* it may be new */
    return client;
}

void connection_push(struct connection *connection, mongoc_client_t *client) {
    mongoc_client_pool_push(connection->pool, client);
}

mongoc_client_t *connection_pin(struct connection *connection) {
    if (atomic_fetch_add(&connection->pins, 1) < connection->pins_most) {
        mongoc_client_t *client = mongoc_client_pool_try_pop(connection->pool);
        if (client)
            return transport_use(client), client;
    }
    atomic_fetch_sub(&connection->pins, 1);
    return NULL;
}

void connection_unpin(struct connection *connection, mongoc_client_t *client) {
    connection_push(connection, client);
    atomic_fetch_sub(&connection->pins, 1);
}

mongoc_client_t *connection_client(struct connection *connection, int silence_ms) {
    mongoc_uri_t *uri = mongoc_uri_copy(connection->uri);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_SOCKETTIMEOUTMS, silence_ms);
    mongoc_uri_set_option_as_int32(uri, MONGOC_URI_CONNECTTIMEOUTMS, silence_ms);
    mongoc_client_t *client = mongoc_client_new_from_uri(uri);
    mongoc_uri_destroy(uri);
    if (client) {
        mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
        transport_use(client);
    }
    return client;
}

void connection_share(struct connection *connection, unsigned count, workers_piece *piece, void *context) {
    bool near = connection_round_trip_ms(connection) <= NEAR_MS;
    for (unsigned number = 0; near && number < count; number++)
        piece(context, number);
    if (!near)
        workers_share(connection->askers, count, piece, context);
}
