// SPDX-License-Identifier: Apache-2.0
#include "fs/fsck.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/complain.h"
#include "fs/options.h"
#include "fs/store/mongo/server.h"
#include "fs/tools/fsck.h"

/* What is no option: the URI, which may hold a password and is hidden from ps. */
static int take_uri(struct options *options, int count, char **arguments, char **ret_error) {
    if (count == 1)
        options->uri = strdup(arguments[0]);
    for (int i = 0; i < count; i++)
        if (strstr(arguments[i], "://"))
            memset(arguments[i], 'x', strlen(arguments[i]));
    if (count <= 1)
        return 0;
    *ret_error = strdup("fsck takes one URI; see gridmount --help");
    return -EINVAL;
}

static int parse(struct options *options, struct fsck_request *request, bool *yes, int count, char **arguments,
                 char **ret_error) {
    enum { REPAIR = 256, YES, JSON };
    static const struct option words[] = {{"repair", no_argument, NULL, REPAIR},
                                          {"yes", no_argument, NULL, YES},
                                          {"json", no_argument, NULL, JSON},
                                          {NULL, 0, NULL, 0}};
    int option;
    opterr = 0;
    optind = 0;
    while ((option = getopt_long(count, arguments, "o:", words, NULL)) != -1) {
        request->repair |= option == REPAIR;
        request->json |= option == JSON;
        *yes |= option == YES;
        if (option == 'o' && options_parse(options, optarg, ret_error))
            return -EINVAL;
        if (option == '?') {
            *ret_error = strdup("fsck takes a URI, -o, --repair, --yes and --json; see gridmount --help");
            return -EINVAL;
        }
    }
    return take_uri(options, count - optind, arguments + optind, ret_error);
}

static int check_usage(const struct options *options, struct fsck_request *request, bool yes, char **ret_error) {
    request->bucket = options->bucket;
    request->ask = request->repair && !yes;
    if (strcmp(options->bucket, "*") == 0)
        *ret_error = strdup("fsck looks at one bucket; name it with -o bucket=NAME");
    else if (request->repair && options->read_only)
        *ret_error = strdup("--repair and -o ro contradict each other; leave one out");
    else if (request->ask && !(isatty(STDIN_FILENO) && isatty(STDERR_FILENO)))
        *ret_error = strdup("--repair asks at a terminal, and there is none; add --yes");
    else
        return 0;
    return -EINVAL;
}

/* Some servers sort a whole collection before they give the first document of it. */
enum { PATIENCE = 10, PATIENCE_MOST_MS = 24 * 3600 * 1000 };

static int patience_ms(const struct options *options) {
    return (int)(options->timeout_ms < PATIENCE_MOST_MS / PATIENCE ? options->timeout_ms * PATIENCE : PATIENCE_MOST_MS);
}

static int look(const struct options *options, struct fsck_request *request) {
    const struct server_config config = {.uri = options->uri,
                                         .database = options->database,
                                         .bucket = options->bucket,
                                         .timeout_ms = (int)options->timeout_ms,
                                         .patience_ms = patience_ms(options),
                                         .grace_ms = options->grace_ms};
    struct server *server;
    struct checks *checks;
    char *error = NULL;
    int result = server_open(&config, &server, &error);
    if (result)
        return give_up(result == -EINVAL ? FSCK_USAGE : FSCK_FAILED, error);
    result = server_checks(server, options->bucket, &checks);
    if (result) {
        server->ops->free(server);
        return give_up(FSCK_FAILED, strdup(strerror(-result)));
    }
    request->address = server->address;
    request->database = server->database;
    int status = tools_fsck(checks, request);
    /* Nothing is left to be given back, and the driver's monitor would keep a clean end waiting for half a second. */
    _exit(status);
}

int fsck_run(int count, char **arguments) {
    struct options options;
    struct fsck_request request = {0};
    bool yes = false;
    char *error = NULL;
    if (options_init(&options))
        return give_up(FSCK_FAILED, NULL);
    prctl(PR_SET_DUMPABLE, 0); /* the password is in memory */
    int result = parse(&options, &request, &yes, count, arguments, &error);
    if (result == 0)
        result = options_complete(&options, &error);
    if (result == 0)
        result = check_usage(&options, &request, yes, &error);
    /* What this user may not read is in the report. */
    log_open(LOG_TO_STDERR, options.log_level == LOG_LEVEL_DEBUG ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
    int status = result ? give_up(FSCK_USAGE, error) : look(&options, &request);
    options_done(&options);
    return status;
}
