// SPDX-License-Identifier: Apache-2.0
/* gridmount: the command line. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/complain.h"
#include "fs/daemon.h"
#include "fs/fsck.h"
#include "fs/handed_over.h"
#include "fs/mount_helper.h"
#include "fs/mountpoint.h"
#include "fs/options.h"
#include "fs/serving.h"
#include "fs/store/mongo/server.h"
#include "fs/tools/past.h"
#include "fs/tools/profile.h"
#include "fs/tools/tools.h"
#include "fs/tools/warm.h"
#include "fs/usage.h"
#include "fs/version.h"

enum { WAIT_SECONDS = 60 };

/* ---- run: COMMAND with the mount around it ---- */

/* What supervisors and people send to the first process of a container, and servers such as gunicorn listen to. */
static const int passed_on[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, SIGTTIN, SIGTTOU};

static volatile sig_atomic_t command_pid;

static void pass_on(int signal, siginfo_t *info, void *context) {
    (void)context;
    if (command_pid > 0 && info->si_code != SI_KERNEL) /* the terminal has told the command itself */
        kill((pid_t)command_pid, signal);
}

/* Takes in all children that end before this one: to process 1 of a container come also those that COMMAND has lost. */
static int wait_for(pid_t pid, pid_t *server) {
    int status = 0;
    for (pid_t ended; (ended = waitpid(-1, &status, 0)) != pid;) {
        if (ended < 0 && errno != EINTR)
            return EXIT_FAILED;
        if (ended == *server)
            *server = 0; /* the number may be another's by now */
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What comes before it is known whom to pass it on to waits. */
static void block_passed_on(void) {
    sigset_t passed;
    sigemptyset(&passed);
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaddset(&passed, passed_on[i]);
    sigprocmask(SIG_BLOCK, &passed, NULL);
}

static int run_command(char **command, const char *warming, const sigset_t *before, pid_t *server) {
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_SIGINFO};
    block_passed_on();
    pid_t pid = fork();
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, before, NULL);
        if (warming)
            tools_await_warm(warming);
        execvp(command[0], command);
        fprintf(stderr, "gridmount: %s: %s; check the command behind --\n", command[0], strerror(errno));
        _exit(127);
    }
    command_pid = pid;
    for (size_t i = 0; i < sizeof passed_on / sizeof *passed_on; i++)
        sigaction(passed_on[i], &action, NULL);
    sigprocmask(SIG_SETMASK, before, NULL);
    int status = pid < 0 ? EXIT_FAILED : wait_for(pid, server);
    command_pid = 0;
    return status;
}

/* In the background; returns when it is usable. */
static int start(struct options *options, pid_t *ret_server) {
    int status = daemon_start(serving_run, options, ret_server);
    if (status == 0)
        mountpoint_show_status(options->mountpoint);
    return status;
}

/* A signal that comes while the mount starts ends it, and the command is not begun. */
static int run(struct options *options, char **command) {
    sigset_t ending = serving_ending_signals(), before;
    const struct timespec at_once = {0};
    pid_t server;
    sigprocmask(SIG_BLOCK, &ending, &before);
    int status = start(options, &server);
    if (options->device >= 0)
        close(options->device); /* the mount is dead when the server is */
    if (status)
        return status;
    int told = sigtimedwait(&ending, NULL, &at_once);
    const char *warming = options->await_warm ? options->mountpoint : NULL;
    status = told > 0 ? 128 + told : run_command(command, warming, &before, &server);
    if (server > 0 && kill(server, SIGTERM) == 0)
        wait_for(server, &server);
    return status;
}

/* ---- the command line ---- */

/* Takes an argument over and hides it from ps: it may hold a password. */
static char *take_secret(char *argument) {
    char *copy = strdup(argument);
    memset(argument, 'x', strlen(argument));
    return copy;
}

/* A mount that is made has its options. */
static int take_over(struct options *options, const char *name, char **ret_error) {
    const char *late = options->user          ? "user="
                       : options->allow_other ? "allow_other"
                       : options->noexec      ? "noexec"
                       : options->noatime     ? "noatime"
                                              : NULL;
    if (late && asprintf(ret_error, "option %s: who mounted %s has decided that; leave it out", late, name) < 0)
        *ret_error = NULL;
    if (late)
        return EXIT_USAGE;
    return handed_over_take(name, &options->device, &options->mountpoint, ret_error) ? EXIT_FAILED : EXIT_DONE;
}

static int take_positional(struct options *options, int count, char **arguments, char **ret_error) {
    bool no_directory = count >= 1 && strstr(arguments[count - 1], "://");
    for (int i = 0; i < count; i++) /* in the wrong place, a password is as secret */
        if (strstr(arguments[i], "://") && (count != 2 || i != 0))
            memset(arguments[i], 'x', strlen(arguments[i]));
    if (count < 1 || count > 2 || no_directory) {
        *ret_error = strdup(count > 2 ? "too many arguments; see gridmount --help"
                                  : "no mountpoint named; name an empty directory");
        return EXIT_USAGE;
    }
    if (count == 2)
        options->uri = take_secret(arguments[0]);
    if (options_complete(options, ret_error))
        return EXIT_USAGE;
    const char *directory = arguments[count - 1];
    if (handed_over_is(directory))
        return take_over(options, directory, ret_error);
    return mountpoint_prepare(directory, &options->mountpoint, ret_error) ? EXIT_FAILED : EXIT_DONE;
}

static void make_absolute(char **path) {
    char *absolute = *path && **path != '/' ? mountpoint_absolute(*path) : NULL;
    if (absolute) {
        free(*path);
        *path = absolute;
    }
}

/* Splits "... -- COMMAND" off; returns COMMAND or NULL. */
static char **split_command(int *count, char **arguments) {
    for (int i = 0; i < *count; i++)
        if (strcmp(arguments[i], "--") == 0) {
            *count = i;
            arguments[i] = NULL;
            return arguments + i + 1;
        }
    return NULL;
}

static int parse(struct options *options, int count, char **arguments, char **ret_error) {
    static const struct option words[] = {
        {"foreground", no_argument, NULL, 'f'}, {"warm", no_argument, NULL, 'w'}, {NULL, 0, NULL, 0}};
    opterr = 0;
    optind = 0;
    int option;
    while ((option = getopt_long(count, arguments, "o:f", words, NULL)) != -1) {
        if (option == 'f') {
            options->foreground = true;
        } else if (option == 'w') {
            options->await_warm = true;
        } else if (option != 'o' || options_parse(options, optarg, ret_error)) {
            if (option != 'o')
                *ret_error = strdup("unknown or incomplete argument; see gridmount --help");
            return EXIT_USAGE;
        }
    }
    make_absolute(&options->log_file);
    make_absolute(&options->cache_dir);
    make_absolute(&options->trace);
    return take_positional(options, count - optind, arguments + optind, ret_error);
}

static int do_mount(int count, char **arguments, bool runs) {
    struct options options;
    char *error = NULL, **command = runs ? split_command(&count, arguments) : NULL;
    if (runs && (!command || !command[0]))
        return give_up(EXIT_USAGE, strdup("no command; write it behind --"));
    if (options_init(&options))
        return give_up(EXIT_FAILED, NULL);
    serving_keep_secrets();
    int status = parse(&options, count, arguments, &error);
    if (status == 0 && options.await_warm && (!runs || !options.warm)) {
        error = strdup("--warm is for run, with -o warm=GLOB; see gridmount --help");
        status = EXIT_USAGE;
    }
    if (status) {
        options_done(&options);
        return give_up(status, error);
    }
    if (options.foreground && !runs)
        return serving_run(&options, -1);
    pid_t server;
    status = runs ? run(&options, command) : start(&options, &server);
    if (status < 0)
        status = give_up(EXIT_FAILED, strdup(strerror(-status)));
    options_done(&options);
    return status;
}

/* ---- mount.gridfs ---- */

/* `gridmount mount` in other words, and with other exit statuses. */
static int mount_for(const struct mount_helper_request *request) {
    char mount[] = "mount", letter[] = "-o", *words[6];
    int count = 0;
    words[count++] = mount;
    if (request->spec)
        words[count++] = request->spec;
    words[count++] = request->directory;
    words[count++] = letter;
    words[count++] = request->options;
    words[count] = NULL;
    int status = do_mount(count, words, false);
    if (status == EXIT_DONE && request->verbose)
        printf("gridmount: mounted on %s\n", request->directory);
    return status == EXIT_DONE ? EXIT_DONE : status == EXIT_USAGE ? MOUNT_HELPER_USAGE : MOUNT_HELPER_FAILED;
}

static int help_mount(int count, char **arguments) {
    struct mount_helper_request request;
    char *error = NULL;
    if (mount_helper_parse(count, arguments, &request, &error))
        return give_up(MOUNT_HELPER_USAGE, error);
    int status = EXIT_DONE;
    if (request.fake)
        status = mount_helper_pretend(&request, &error) ? give_up(MOUNT_HELPER_USAGE, error) : EXIT_DONE;
    else if (mount_helper_enter(&request, &error))
        status = give_up(MOUNT_HELPER_FAILED, error);
    else
        status = mount_for(&request);
    mount_helper_done(&request);
    return status;
}

/* ---- the other commands ---- */

/* "WORD" or "WORD=SECONDS". */
static bool takes_seconds(const char *argument, const char *word, double otherwise, double *ret_seconds) {
    size_t size = strlen(word);
    if (strcmp(argument, word) == 0)
        return *ret_seconds = otherwise, true;
    if (strncmp(argument, word, size) != 0 || argument[size] != '=' || !isdigit((unsigned char)argument[size + 1]))
        return false;
    char *end;
    double seconds = strtod(argument + size + 1, &end);
    if (*end || seconds > 1e6)
        return false;
    *ret_seconds = seconds;
    return true;
}

static int do_status(int count, char **arguments) {
    bool json = false;
    double wait_seconds = 0, watch_seconds = 0;
    const char *path = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0)
            json = true;
        else if (takes_seconds(arguments[i], "--wait", WAIT_SECONDS, &wait_seconds) ||
                 takes_seconds(arguments[i], "--watch", 1, &watch_seconds))
            continue;
        else if (path || arguments[i][0] == '-')
            return give_up(EXIT_USAGE, strdup("status takes a directory, --json, --wait=SECONDS and --watch=SECONDS; see gridmount --help"));
        else
            path = arguments[i];
    }
    if (path && watch_seconds > 0)
        return json || wait_seconds > 0 ? give_up(EXIT_USAGE, strdup("--watch goes with neither --json nor --wait"))
                                        : tools_watch(path, watch_seconds);
    return path ? tools_status(path, json, wait_seconds)
                : give_up(EXIT_USAGE, strdup("no directory named; see gridmount --help"));
}

static int do_umount(int count, char **arguments) {
    if (count != 2)
        return give_up(EXIT_USAGE, strdup("umount takes one directory; see gridmount --help"));
    return tools_umount(arguments[1]);
}

static int do_profile(int count, char **arguments) {
    bool json = false;
    const char *path = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0)
            json = true;
        else if (path || arguments[i][0] == '-')
            return give_up(EXIT_USAGE, strdup("profile takes a trace or a mount, and --json; see gridmount --help"));
        else
            path = arguments[i];
    }
    return path ? tools_profile(path, json) : give_up(EXIT_USAGE, strdup("no trace named; see gridmount --help"));
}

static int do_warm(int count, char **arguments) {
    struct warm_request request;
    char *error = NULL;
    return warm_parse(count, arguments, &request, &error) ? give_up(EXIT_USAGE, error) : tools_warm(&request);
}

static int do_command(int count, char **arguments) {
    if (mount_helper_is(arguments[0]))
        return help_mount(count, arguments);
    const char *command = count > 1 ? arguments[1] : "--help";
    if (strcmp(command, "--help") == 0 || strcmp(command, "-h") == 0 || strcmp(command, "help") == 0)
        return usage_put(stdout), EXIT_DONE;
    if (strcmp(command, "--version") == 0)
        return puts("gridmount " GRIDMOUNT_VERSION) < 0 ? EXIT_FAILED : EXIT_DONE;
    if (strcmp(command, "mount") == 0)
        return do_mount(count - 1, arguments + 1, false);
    if (strcmp(command, "run") == 0)
        return do_mount(count - 1, arguments + 1, true);
    if (strcmp(command, "umount") == 0)
        return do_umount(count - 1, arguments + 1);
    if (strcmp(command, "status") == 0)
        return do_status(count - 1, arguments + 1);
    if (strcmp(command, "profile") == 0)
        return do_profile(count - 1, arguments + 1);
    if (strcmp(command, "warm") == 0 || strcmp(command, "verify") == 0)
        return do_warm(count - 1, arguments + 1);
    if (past_is_command(command))
        return past_run(count - 1, arguments + 1);
    if (strcmp(command, "fsck") == 0)
        return fsck_run(count - 1, arguments + 1);
    if (strncmp(command, "mongodb", strlen("mongodb")) == 0 || strchr(command, '/'))
        return do_mount(count, arguments, false);
    char *error = NULL;
    if (asprintf(&error, "unknown command '%s'; see gridmount --help", command) < 0)
        error = NULL;
    return give_up(EXIT_USAGE, error);
}

/* Those that are closed: else a socket or a lock gets the number, and what is written to standard error goes there. */
static void keep_standard_numbers(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", O_RDONLY); /* the lowest number that is free; writing fails, as it would have */
}

int main(int count, char **arguments) {
    keep_standard_numbers();
    server_leave_no_file();
    int status = do_command(count, arguments);
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    return status == EXIT_DONE && !written ? EXIT_FAILED : status;
}
