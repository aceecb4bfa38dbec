// SPDX-License-Identifier: Apache-2.0
/* Large replies against a real server: they are whole, and no connection keeps memory for the next one. */
#include <string.h>
#include <unistd.h>

#include "fs/store/mongo/connection.h"
#include "tests/store/real_store.h"

enum { DOCUMENTS = 3, LARGE = 5 << 20, CLIENTS = 8, MOST_KEPT = 48 << 20 };

static size_t resident_bytes(void) {
    size_t size, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &size, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static unsigned char *pattern_new(int seed) {
    unsigned char *bytes = malloc(LARGE);
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (unsigned char)(i * 31 + i / 4093 + (size_t)seed);
    return bytes;
}

static void store_large(struct real_store *real) {
    mongoc_collection_t *files = real_store_collection(real, "files");
    for (int i = 0; i < DOCUMENTS; i++) {
        unsigned char *bytes = pattern_new(i);
        bson_t document = BSON_INITIALIZER;
        bson_error_t error;
        BSON_APPEND_INT32(&document, "_id", i);
        bson_append_binary(&document, "data", -1, BSON_SUBTYPE_BINARY, bytes, LARGE);
        assert_true(mongoc_collection_insert_one(files, &document, NULL, NULL, &error));
        bson_destroy(&document);
        free(bytes);
    }
    mongoc_collection_destroy(files);
}

/* Reads all of them by one reply, through a client of the pool. */
static void expect_large(struct real_store *real, mongoc_client_t *client) {
    mongoc_collection_t *files =
        mongoc_client_get_collection(client, connection_database(real->bucket->connection), real->bucket->files);
    bson_t filter = BSON_INITIALIZER, *options = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}");
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(files, &filter, options, NULL);
    const bson_t *document;
    int found = 0;
    for (; mongoc_cursor_next(cursor, &document); found++) {
        bson_iter_t data;
        bson_subtype_t subtype;
        uint32_t size;
        const uint8_t *bytes;
        unsigned char *expected = pattern_new(found);
        assert_true(bson_iter_init_find(&data, document, "data"));
        bson_iter_binary(&data, &subtype, &size, &bytes);
        assert_int_equal(size, LARGE);
        assert_memory_equal(bytes, expected, LARGE);
        free(expected);
    }
    assert_int_equal(found, DOCUMENTS);
    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
    mongoc_collection_destroy(files);
}

static void no_connection_keeps_the_room_of_a_large_reply(void **state) {
    (void)state;
    struct real_store real = real_store_open("transport");
    mongoc_client_t *clients[CLIENTS];
    store_large(&real);
    for (int i = 0; i < CLIENTS; i++)
        assert_non_null(clients[i] = connection_pop(real.bucket->connection));
    expect_large(&real, clients[0]);
    size_t before = resident_bytes();
    for (int i = 1; i < CLIENTS; i++)
        expect_large(&real, clients[i]);
    size_t after = resident_bytes();
    print_message("%zu MiB resident after one, %zu after %d\n", before >> 20, after >> 20, CLIENTS);
    assert_true(after < before + MOST_KEPT);
    for (int i = 0; i < CLIENTS; i++)
        connection_push(real.bucket->connection, clients[i]);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_connection_keeps_the_room_of_a_large_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
