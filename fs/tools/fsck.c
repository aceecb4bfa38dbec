// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/fsck.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "fs/tools/text.h"

enum { CHECKS_MOST = 32, TERMINAL_EACH_MS = 200, OTHERWISE_EACH_MS = 10000 };

struct fsck {
    const struct fsck_request *request;
    const struct check *table;
    size_t count, at;          /* of checks; the one that runs */
    int64_t found[CHECK_CLASSES], bytes[CHECK_CLASSES];
    int64_t left[CHECK_CLASSES]; /* after the repair */
    int64_t repairable[CHECKS_MOST];
    bool unreadable[CHECKS_MOST];
    bool again;  /* it has been told: only count */
    bool failed; /* something could not be asked or done */
    bool any;    /* a finding was written */
    bool terminal, line_open; /* of standard error */
    int64_t said_ms;
};

static const char *const kind_words[] = {
    [CHECK_NOTE] = "note", [CHECK_LEFT_OVER] = "left over", [CHECK_PROBLEM] = "problem"};

/* ---- progress ---- */

static void end_line(struct fsck *fsck) {
    if (fsck->line_open)
        fputs("\r\033[K", stderr);
    fsck->line_open = false;
}

static void tell_progress(void *context, int64_t documents) {
    struct fsck *fsck = context;
    int64_t now = clock_now_ms();
    if (now - fsck->said_ms < (fsck->terminal ? TERMINAL_EACH_MS : OTHERWISE_EACH_MS))
        return;
    fsck->said_ms = now;
    fsck->line_open = fsck->terminal;
    fprintf(stderr, fsck->terminal ? "\rchecking %s: %lld read" : "checking %s: %lld read\n",
            fsck->table[fsck->at].name, (long long)documents);
}

static void complain(struct fsck *fsck, const char *what, int error) {
    end_line(fsck);
    fprintf(stderr, "gridmount: %s: %s: %s\n", fsck->table[fsck->at].name, what, strerror(-error));
    fsck->failed = true;
}

/* ---- findings ---- */

static void put_text(const struct check_finding *finding) {
    printf("%-18s", check_classes[finding->class].word);
    if (finding->name) {
        fputs(" '", stdout);
        text_put_plain(stdout, finding->name, finding->name_size);
        fputc('\'', stdout);
    }
    if (finding->id)
        printf(finding->name ? " (%s)" : " %s", finding->id);
    if (finding->detail) {
        fputs(": ", stdout);
        text_put_plain(stdout, finding->detail, strlen(finding->detail));
    }
    fputc('\n', stdout);
}

static void put_member(const char *key, const char *value, size_t size) {
    if (!value)
        return;
    printf(",\"%s\":", key);
    text_put_json(stdout, value, size);
}

static void put_json(const struct fsck *fsck, const struct check_finding *finding) {
    const struct check_class_row *row = &check_classes[finding->class];
    printf("%s\n{\"class\":\"%s\",\"kind\":\"%s\"", fsck->any ? "," : "", row->word, kind_words[row->kind]);
    put_member("name", finding->name, finding->name_size);
    put_member("id", finding->id, finding->id ? strlen(finding->id) : 0);
    put_member("detail", finding->detail, finding->detail ? strlen(finding->detail) : 0);
    printf(",\"bytes\":%lld}", (long long)finding->bytes);
}

static void take_finding(void *context, const struct check_finding *finding) {
    struct fsck *fsck = context;
    bool single = finding->name || finding->id || finding->detail; /* else a number, for the summary */
    if (fsck->again) {
        fsck->left[finding->class] += finding->count;
        return;
    }
    fsck->found[finding->class] += finding->count;
    fsck->bytes[finding->class] += finding->bytes;
    if (check_classes[finding->class].kind == CHECK_LEFT_OVER && fsck->table[fsck->at].repair)
        fsck->repairable[fsck->at]++;
    if (!single)
        return;
    end_line(fsck);
    if (fsck->request->json)
        put_json(fsck, finding);
    else
        put_text(finding);
    fsck->any = true;
}

/* ---- find, repair ---- */

/* False: it is of no use to go on. */
static bool find(struct fsck *fsck, struct checks *checks) {
    const struct check_listener listener = {fsck, take_finding, tell_progress};
    int result = fsck->table[fsck->at].find(checks, &listener);
    end_line(fsck);
    if (result == -EACCES)
        fsck->unreadable[fsck->at] = true;
    else if (result)
        complain(fsck, "could not be looked at", result);
    return result != -ETIMEDOUT;
}

static bool find_all(struct fsck *fsck, struct checks *checks) {
    for (fsck->at = 0; fsck->at < fsck->count; fsck->at++)
        if (!find(fsck, checks))
            return false;
    return true;
}

static int64_t count_repairable(const struct fsck *fsck) {
    int64_t count = 0;
    for (size_t i = 0; i < fsck->count; i++)
        count += fsck->repairable[i];
    return count;
}

static bool confirmed(const struct fsck *fsck) {
    char answer[16] = "";
    if (!fsck->request->ask)
        return true;
    fprintf(stderr, "Take away or finish %lld left-over things in bucket %s? [y/N] ", (long long)count_repairable(fsck),
            fsck->request->bucket);
    fflush(stderr);
    return fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y');
}

static void repair(struct fsck *fsck, struct checks *checks) {
    fsck->line_open = fsck->terminal;
    if (fsck->terminal)
        fprintf(stderr, "\rrepairing %s", fsck->table[fsck->at].name);
    int result = fsck->table[fsck->at].repair(checks);
    end_line(fsck);
    if (result == -EBUSY)
        fprintf(stderr, "gridmount: %s: a mount of this bucket does it by itself within two minutes\n",
                fsck->table[fsck->at].name);
    else if (result)
        complain(fsck, "could not be repaired", result);
}

static void repair_all(struct fsck *fsck, struct checks *checks) {
    for (fsck->at = 0; fsck->at < fsck->count; fsck->at++)
        if (fsck->repairable[fsck->at])
            repair(fsck, checks);
    memcpy(fsck->left, fsck->found, sizeof fsck->left);
    for (int class = 0; class < CHECK_CLASSES; class++)
        if (check_classes[class].kind == CHECK_LEFT_OVER)
            fsck->left[class] = 0;
    fsck->again = true;
    for (fsck->at = 0; fsck->at < fsck->count; fsck->at++)
        if (fsck->repairable[fsck->at] && !find(fsck, checks))
            return;
}

/* ---- the summary ---- */

static int64_t corrected(const struct fsck *fsck, int class) {
    bool repaired = fsck->again && check_classes[class].kind == CHECK_LEFT_OVER;
    return repaired && fsck->found[class] > fsck->left[class] ? fsck->found[class] - fsck->left[class] : 0;
}

static int status_of(const struct fsck *fsck) {
    int status = fsck->failed ? FSCK_FAILED : FSCK_CLEAN;
    for (int class = 0; class < CHECK_CLASSES; class++) {
        int64_t fixed = corrected(fsck, class);
        if (fixed)
            status |= FSCK_CORRECTED;
        if (check_classes[class].kind != CHECK_NOTE && fsck->found[class] > fixed)
            status |= FSCK_LEFT;
    }
    return status;
}

static const char *verdict(const struct fsck *fsck, int status) {
    if (status & FSCK_FAILED)
        return "not all could be looked at or repaired";
    for (int class = 0; class < CHECK_CLASSES; class++)
        if (check_classes[class].kind == CHECK_PROBLEM && fsck->found[class])
            return "problems, see above";
    return status & FSCK_LEFT          ? "in order, but something was left over"
           : status & FSCK_CORRECTED   ? "corrected"
           : !fsck->found[CHECK_FILES] ? "clean, and without files"
                                       : "clean";
}

static void summarize_text(const struct fsck *fsck, int status) {
    const struct fsck_request *request = fsck->request;
    printf("bucket %s of database %s at %s: %s\n", request->bucket, request->database, request->address,
           verdict(fsck, status));
    for (int class = 0; class < CHECK_CLASSES; class++) {
        const struct check_class_row *row = &check_classes[class];
        if (!fsck->found[class])
            continue;
        printf("  %-9s  %s: %lld", kind_words[row->kind], row->about, (long long)fsck->found[class]);
        if (fsck->bytes[class]) {
            fputs(", ", stdout);
            text_put_size(stdout, fsck->bytes[class]);
        }
        if (corrected(fsck, class))
            printf("; corrected: %lld", (long long)corrected(fsck, class));
        fputc('\n', stdout);
    }
    for (size_t i = 0; i < fsck->count; i++)
        if (fsck->unreadable[i])
            printf("  not checked: %s, which this user may not read\n", fsck->table[i].name);
    if (count_repairable(fsck) && !fsck->again)
        puts("What is left over is taken away by fsck --repair, or by a mount when its turn comes.");
}

static void summarize_json(const struct fsck *fsck, int status) {
    printf("],\n\"not_checked\":[");
    bool any = false;
    for (size_t i = 0; i < fsck->count; i++)
        if (fsck->unreadable[i]) {
            printf("%s\"%s\"", any ? "," : "", fsck->table[i].name);
            any = true;
        }
    printf("],\n\"counts\":{");
    for (int class = 0; class < CHECK_CLASSES; class++)
        printf("%s\n\"%s\":{\"kind\":\"%s\",\"found\":%lld,\"bytes\":%lld,\"corrected\":%lld}", class ? "," : "",
               check_classes[class].word, kind_words[check_classes[class].kind], (long long)fsck->found[class],
               (long long)fsck->bytes[class], (long long)corrected(fsck, class));
    printf("},\n\"exit\":%d}\n", status);
}

static void begin_json(const struct fsck_request *request) {
    printf("{\"server\":");
    text_put_json(stdout, request->address, strlen(request->address));
    put_member("database", request->database, strlen(request->database));
    put_member("bucket", request->bucket, strlen(request->bucket));
    printf(",\n\"findings\":[");
}

int tools_fsck(struct checks *checks, const struct fsck_request *request) {
    struct fsck fsck = {.request = request, .table = checks->table, .said_ms = clock_now_ms()};
    fsck.count = checks->count < CHECKS_MOST ? checks->count : CHECKS_MOST;
    fsck.terminal = isatty(STDERR_FILENO);
    if (request->json)
        begin_json(request);
    bool go_on = find_all(&fsck, checks);
    if (go_on && request->repair && count_repairable(&fsck) && confirmed(&fsck))
        repair_all(&fsck, checks);
    int status = status_of(&fsck);
    if (request->json)
        summarize_json(&fsck, status);
    else
        summarize_text(&fsck, status);
    return fflush(stdout) || ferror(stdout) ? status | FSCK_FAILED : status;
}
