// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/warm_notes.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <uthash.h>

#include "cache/base/cleanup.h"
#include "cache/base/lock.h"

static const char hex[] = "0123456789abcdef";

struct note {
    UT_hash_handle hh;
    char sum[WARM_DIGITS + 1];
    char key[]; /* revision and length, as in the file */
};

struct warm_notes {
    struct lock lock; /* guards what follows */
    FILE *file;
    struct note *table;
};

static void keep(struct warm_notes *notes, const char *key, size_t size, const char *sum) {
    struct note *note;
    HASH_FIND(hh, notes->table, key, size, note);
    if (note || !(note = calloc(1, sizeof *note + size + 1)))
        return;
    memcpy(note->sum, sum, WARM_DIGITS);
    memcpy(note->key, key, size);
    HASH_ADD_KEYPTR(hh, notes->table, note->key, size, note);
}

/* SUM, two spaces, KEY, newline. */
static void read_line(struct warm_notes *notes, const char *line, size_t size) {
    enum { KEY_AT = WARM_DIGITS + 2 };
    if (size > KEY_AT + 1 && line[size - 1] == '\n' && strspn(line, hex) == WARM_DIGITS &&
        strncmp(line + WARM_DIGITS, "  ", 2) == 0)
        keep(notes, line + KEY_AT, size - KEY_AT - 1, line);
}

int warm_notes_open(const char *path, struct warm_notes **ret_notes) {
    struct warm_notes *notes = calloc(1, sizeof *notes);
    cleanup_free char *line = NULL;
    size_t space = 0;
    ssize_t size = 0;
    bool whole = true;
    if (!notes)
        return -ENOMEM;
    notes->file = fopen(path, "a+e");
    if (!notes->file) {
        int result = -errno;
        free(notes);
        return result;
    }
    lock_init(&notes->lock, LOCK_LOG);
    while ((size = getline(&line, &space, notes->file)) > 0) {
        read_line(notes, line, (size_t)size);
        whole = line[size - 1] == '\n';
    }
    if (!whole) /* the next one is a line of its own */
        fputc('\n', notes->file);
    *ret_notes = notes;
    return 0;
}

void warm_notes_close(struct warm_notes *notes) {
    struct note *note, *next;
    if (!notes)
        return;
    HASH_ITER(hh, notes->table, note, next) {
        HASH_DEL(notes->table, note);
        free(note);
    }
    fclose(notes->file);
    lock_done(&notes->lock);
    free(notes);
}

/* To be freed; NULL: it would not be one, or there is no memory. */
static char *key_of(const char *revision, int64_t length) {
    char *key = NULL;
    if (!*revision || strpbrk(revision, " \t\r\n") || asprintf(&key, "%s %" PRId64, revision, length) < 0)
        return NULL;
    return key;
}

bool warm_notes_find(struct warm_notes *notes, const char *revision, int64_t length, char ret_sum[WARM_DIGITS + 1]) {
    cleanup_free char *key = key_of(revision, length);
    struct note *note = NULL;
    if (!key)
        return false;
    lock_acquire(&notes->lock);
    HASH_FIND_STR(notes->table, key, note);
    if (note)
        memcpy(ret_sum, note->sum, sizeof note->sum);
    lock_release(&notes->lock);
    return note != NULL;
}

void warm_notes_add(struct warm_notes *notes, const char *revision, int64_t length, const char *sum) {
    cleanup_free char *key = key_of(revision, length);
    if (!key)
        return;
    lock_acquire(&notes->lock);
    keep(notes, key, strlen(key), sum);
    fprintf(notes->file, "%s  %s\n", sum, key);
    (void)fflush(notes->file);
    lock_release(&notes->lock);
}
