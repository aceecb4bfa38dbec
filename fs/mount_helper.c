// SPDX-License-Identifier: Apache-2.0
#include "fs/mount_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/complain.h"
#include "fs/options.h"

static bool is_one_of(const char *word, const char *const *words) {
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

bool mount_helper_is(const char *program) {
    const char *slash = strrchr(program, '/');
    return strncmp(slash ? slash + 1 : program, "mount.", strlen("mount.")) == 0;
}

/* "user" is mount(8)'s, "user=NAME" ours. */
static bool is_for_others(const char *option) {
    static const char *const words[] = {"_netdev",  "auto",   "noauto", "nofail", "user",     "users",      "nouser",
                                        "owner",    "noowner", "group",  "nogroup", "defaults", "async",      "exec",
                                        "nosuid",   "nodev",  "relatime", "diratime", "loud", "silent",     NULL};
    static const char *const beginnings[] = {"x-", "X-", "comment=", "uhelper=", "helper="};
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++)
        if (strncmp(option, beginnings[i], strlen(beginnings[i])) == 0)
            return true;
    return is_one_of(option, words);
}

/* Appends what is ours of a list. */
static int add_options(FILE *out, const char *list, bool sloppy, char **ret_error) {
    cleanup_free char *copy = strdup(list);
    char *rest = copy, *option;
    if (!copy)
        return -ENOMEM;
    while ((option = strsep(&rest, ","))) {
        if (strcmp(option, "remount") == 0)
            return complain(ret_error, -EINVAL, "a gridmount cannot be remounted; umount it and mount it again");
        if (*option && !is_for_others(option) && (!sloppy || options_know(option)))
            fprintf(out, "%s,", option);
    }
    return 0;
}

static int check_type(const char *type, char **ret_error) {
    static const char *const types[] = {"gridfs", "fuse.gridfs", NULL};
    return is_one_of(type, types) ? 0 : complain(ret_error, -EINVAL, "cannot mount the type %s; say -t gridfs", type);
}

static int parse_words(int count, char **arguments, const char **lists, struct mount_helper_request *request,
                       bool *ret_sloppy, char **ret_error) {
    int option, result = 0;
    opterr = 0;
    optind = 0;
    while (result == 0 && (option = getopt(count, arguments, "sfnvN:o:t:")) != -1) {
        if (option == 's')
            *ret_sloppy = true;
        else if (option == 'f')
            request->fake = true;
        else if (option == 'v')
            request->verbose = true;
        else if (option == 'N')
            request->namespace = optarg;
        else if (option == 'o')
            *lists++ = optarg;
        else if (option == 't')
            result = check_type(optarg, ret_error);
        else if (option != 'n') /* there is no table that it could be written to */
            result = complain(ret_error, -EINVAL,
                              "usage: %s SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]", arguments[0]);
    }
    *lists = NULL;
    return result;
}

static int take_positional(int count, char **arguments, struct mount_helper_request *request, char **ret_error) {
    static const char *const nobody[] = {"none", "gridfs", "gridmount", NULL};
    if (count != 2)
        return complain(ret_error, -EINVAL, "SPEC and DIR are needed; see mount(8)");
    request->spec = is_one_of(arguments[0], nobody) ? NULL : arguments[0];
    request->directory = arguments[1];
    if (request->spec && !strstr(request->spec, "://"))
        return complain(ret_error, -EINVAL,
                        "%s is no connection string; say mongodb://host/database, or gridfs and credentials=FILE",
                        request->spec);
    return 0;
}

int mount_helper_parse(int count, char **arguments, struct mount_helper_request *ret_request, char **ret_error) {
    struct mount_helper_request request = {.spec = NULL};
    cleanup_free const char **lists = calloc((size_t)count + 1, sizeof *lists);
    bool sloppy = false;
    size_t size;
    FILE *out = lists ? open_memstream(&request.options, &size) : NULL;
    if (!out)
        return -ENOMEM;
    int result = parse_words(count, arguments, lists, &request, &sloppy, ret_error);
    for (const char **list = lists; result == 0 && *list; list++)
        result = add_options(out, *list, sloppy, ret_error);
    if (result == 0)
        result = take_positional(count - optind, arguments + optind, &request, ret_error);
    if (fclose(out))
        result = result ? result : -ENOMEM;
    if (result)
        mount_helper_done(&request);
    else
        *ret_request = request;
    return result;
}

void mount_helper_done(struct mount_helper_request *request) {
    free(steal_ptr(&request->options));
}

int mount_helper_pretend(const struct mount_helper_request *request, char **ret_error) {
    struct options options;
    int result = options_init(&options);
    if (result == 0)
        result = options_parse(&options, request->options, ret_error);
    if (result == 0 && request->spec && !(options.uri = strdup(request->spec)))
        result = -ENOMEM;
    if (result == 0)
        result = options_complete(&options, ret_error);
    options_done(&options);
    return result;
}

int mount_helper_enter(const struct mount_helper_request *request, char **ret_error) {
    cleanup_fd int there = request->namespace ? open(request->namespace, O_RDONLY | O_CLOEXEC) : -1;
    if (!request->namespace || (there >= 0 && setns(there, CLONE_NEWNS) == 0))
        return 0;
    return complain(ret_error, -EINVAL,
                    "cannot enter the mount namespace %s; name one as in /proc/PID/ns/mnt", request->namespace);
}
