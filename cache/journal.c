// SPDX-License-Identifier: Apache-2.0
#include "cache/journal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct journal {
    int directory;
    atomic_uint_least64_t last; /* the highest number there is or was */
    atomic_uint bad;
    uint64_t *found;
    unsigned count, capacity;
};

enum { NAME = 32 };

static void name_of(uint64_t number, const char *what, char ret_name[NAME]) {
    snprintf(ret_name, NAME, "%016" PRIx64 ".%s", number, what);
}

/* Whether a name in the directory is one of ours; the rest is nobody's business here. */
static bool parse_name(const char *name, uint64_t *ret_number, const char **ret_what) {
    enum { DIGITS = 16 };
    if (strspn(name, "0123456789abcdef") != DIGITS || name[DIGITS] != '.')
        return false;
    *ret_number = strtoull(name, NULL, 16);
    *ret_what = name + DIGITS + 1;
    return true;
}

static int add_found(struct journal *journal, uint64_t number) {
    if (journal->count == journal->capacity) {
        unsigned capacity = 2 * journal->capacity + 8;
        uint64_t *found = realloc(journal->found, capacity * sizeof *found);
        if (!found)
            return -ENOMEM;
        journal->found = found;
        journal->capacity = capacity;
    }
    journal->found[journal->count++] = number;
    return 0;
}

static int take_name(struct journal *journal, const char *name) {
    uint64_t number;
    const char *what;
    if (!parse_name(name, &number, &what))
        return 0;
    if (number > atomic_load(&journal->last))
        atomic_store(&journal->last, number);
    if (strcmp(what, "new") == 0)
        (void)unlinkat(journal->directory, name, 0);
    else if (strcmp(what, "bad") == 0)
        atomic_fetch_add(&journal->bad, 1);
    else if (strcmp(what, "record") == 0)
        return add_found(journal, number);
    return 0;
}

static int by_number(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static int look_around(struct journal *journal) {
    int fd = openat(journal->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    int result = 0;
    if (!listing) {
        result = -errno;
        if (fd >= 0)
            close(fd);
        return result;
    }
    struct dirent *entry;
    while (!result && (errno = 0, entry = readdir(listing)))
        result = take_name(journal, entry->d_name);
    if (!result)
        result = -errno;
    closedir(listing);
    if (journal->count)
        qsort(journal->found, journal->count, sizeof *journal->found, by_number);
    return result;
}

int journal_open(const char *directory, struct journal **ret_journal) {
    struct journal *journal = calloc(1, sizeof *journal);
    if (!journal)
        return -ENOMEM;
    journal->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = journal->directory < 0 ? -errno : look_around(journal);
    if (result)
        journal_free(journal);
    else
        *ret_journal = journal;
    return result;
}

struct journal *journal_free(struct journal *journal) {
    if (journal) {
        if (journal->directory >= 0)
            close(journal->directory);
        free(journal->found);
        free(journal);
    }
    return NULL;
}

const uint64_t *journal_found(const struct journal *journal, unsigned *ret_count) {
    *ret_count = journal->count;
    return journal->found;
}

unsigned journal_bad(const struct journal *journal) {
    return atomic_load(&journal->bad);
}

uint64_t journal_next(struct journal *journal) {
    return atomic_fetch_add(&journal->last, 1) + 1;
}

static int sync_directory(const struct journal *journal) {
    return fsync(journal->directory) ? -errno : 0;
}

int journal_write(struct journal *journal, uint64_t number, const void *facts, size_t facts_size,
                  struct staged *staged) {
    char fresh[NAME], name[NAME];
    name_of(number, "new", fresh);
    name_of(number, "record", name);
    cleanup_fd int fd =
        openat(journal->directory, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int result = journal_record_write(fd, facts, facts_size, staged);
    if (!result && renameat(journal->directory, fresh, journal->directory, name))
        result = -errno;
    if (result) {
        (void)unlinkat(journal->directory, fresh, 0);
        return result;
    }
    return sync_directory(journal);
}

int journal_remove(struct journal *journal, uint64_t number) {
    char name[NAME];
    name_of(number, "record", name);
    if (unlinkat(journal->directory, name, 0) && errno != ENOENT)
        return -errno;
    return sync_directory(journal);
}

int journal_read(struct journal *journal, uint64_t number, struct journal_record **ret_record) {
    char name[NAME];
    name_of(number, "record", name);
    /* What is not a file can be neither read nor waited for. */
    cleanup_fd int fd = openat(journal->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? -EBADMSG : -errno;
    int result = journal_record_open(fd, ret_record);
    if (!result)
        fd = -1;
    return result;
}

int journal_set_aside(struct journal *journal, uint64_t number) {
    char name[NAME], aside[NAME];
    name_of(number, "record", name);
    name_of(number, "bad", aside);
    if (renameat(journal->directory, name, journal->directory, aside))
        return -errno;
    atomic_fetch_add(&journal->bad, 1);
    return sync_directory(journal);
}
