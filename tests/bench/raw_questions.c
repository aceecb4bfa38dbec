// SPDX-License-Identifier: Apache-2.0
/*
 * The limit that small reads are measured against: one question after another on one connection, each for what is
 * wanted and nothing else, by somebody who knows beforehand how everything is stored.
 *
 *     raw_questions URI BUCKET stat           the files document of each name on stdin
 *     raw_questions URI BUCKET read           that, and the chunks of the file
 *     raw_questions URI BUCKET chunks NAME    each chunk of the file NAME whose number is on stdin
 */
#include <mongoc/mongoc.h>
#include <string.h>

#include "measure.h"

enum { LINE = 512, LINES_MAX = 1 << 20 };

struct questions {
    mongoc_collection_t *files, *chunks;
    char **lines; /* what is on stdin: read before the clock starts */
    int64_t count;
    int64_t bytes;
};

static void read_lines(struct questions *questions) {
    char line[LINE];

    questions->lines = bson_malloc0(LINES_MAX * sizeof *questions->lines);
    while (questions->count < LINES_MAX && fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        questions->lines[questions->count++] = bson_strdup(line);
    }
}

/* One find; the _id of the document goes to ret_id unless that is NULL. */
static void ask(struct questions *questions, mongoc_collection_t *of, const bson_t *filter, int64_t limit,
                bson_value_t *ret_id) {
    bson_t *options = BCON_NEW("limit", BCON_INT64(limit));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(of, filter, limit ? options : NULL, NULL);
    const bson_t *document;
    bson_error_t error;
    bson_iter_t id;
    int found = 0;

    for (; mongoc_cursor_next(cursor, &document); found++) {
        questions->bytes += document->len;
        if (ret_id != NULL && found == 0 && bson_iter_init_find(&id, document, "_id"))
            bson_value_copy(bson_iter_value(&id), ret_id);
    }
    if (mongoc_cursor_error(cursor, &error))
        measure_stop("raw_questions", error.message);
    if (found == 0)
        measure_stop("raw_questions", "what was asked for is not there");
    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
}

static void ask_name(struct questions *questions, const char *name, bson_value_t *ret_id) {
    bson_t *filter = BCON_NEW("filename", BCON_UTF8(name));

    ask(questions, questions->files, filter, 1, ret_id);
    bson_destroy(filter);
}

static void ask_chunks(struct questions *questions, const bson_value_t *id, const char *number) {
    bson_t filter = BSON_INITIALIZER;

    BSON_APPEND_VALUE(&filter, "files_id", id);
    if (number != NULL)
        BSON_APPEND_INT32(&filter, "n", atoi(number));
    ask(questions, questions->chunks, &filter, number != NULL, NULL);
    bson_destroy(&filter);
}

static void ask_all(struct questions *questions, const char *mode, const char *filename) {
    bson_value_t id = { 0 };
    double start;

    if (strcmp(mode, "chunks") == 0)
        ask_name(questions, filename, &id);
    start = measure_now();
    for (int64_t i = 0; i < questions->count; i++) {
        const char *line = questions->lines[i];

        if (strcmp(mode, "chunks") == 0) {
            ask_chunks(questions, &id, line);
        } else if (strcmp(mode, "stat") == 0) {
            ask_name(questions, line, NULL);
        } else {
            bson_value_destroy(&id);
            ask_name(questions, line, &id);
            ask_chunks(questions, &id, NULL);
        }
    }
    measure_report(stdout, questions->bytes, questions->count, start);
    bson_value_destroy(&id);
}

static void measure(mongoc_client_t *client, const char *database, char **argv) {
    struct questions questions = { 0 };
    char *files = bson_strdup_printf("%s.files", argv[2]), *chunks = bson_strdup_printf("%s.chunks", argv[2]);
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    bson_error_t error;

    if (!mongoc_client_command_simple(client, "admin", ping, NULL, NULL, &error))
        measure_stop("raw_questions", error.message);
    questions.files = mongoc_client_get_collection(client, database, files);
    questions.chunks = mongoc_client_get_collection(client, database, chunks);
    read_lines(&questions);
    ask_all(&questions, argv[3], argv[4]);
    for (int64_t i = 0; i < questions.count; i++)
        bson_free(questions.lines[i]);
    bson_free(questions.lines);
    mongoc_collection_destroy(questions.chunks);
    mongoc_collection_destroy(questions.files);
    bson_destroy(ping);
    bson_free(chunks);
    bson_free(files);
}

int main(int argc, char **argv) {
    mongoc_client_t *client;
    mongoc_uri_t *uri;

    if (argc < 4 || argc != (strcmp(argv[3], "chunks") == 0 ? 5 : 4))
        measure_stop("usage", "raw_questions URI BUCKET stat|read|chunks [NAME]");
    mongoc_init();
    uri = mongoc_uri_new(argv[1]);
    if (uri == NULL || mongoc_uri_get_database(uri) == NULL)
        measure_stop("raw_questions", "the URI must be valid and name a database");
    client = mongoc_client_new_from_uri(uri);
    if (client == NULL)
        measure_stop("raw_questions", "cannot make a client for the URI");
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    measure(client, mongoc_uri_get_database(uri), argv);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    mongoc_cleanup();
    return 0;
}
