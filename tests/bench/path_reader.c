// SPDX-License-Identifier: Apache-2.0
/*
 * The program that only knows paths: reads files as cat, a memory map, random readers
 * and small-file loaders do. It runs alike on the mount and on tmpfs.
 *
 *     path_reader sequential FILE...         one thread per file, reads of 1 MiB
 *     path_reader mmap FILE                  maps the file and copies it out by 1 MiB
 *     path_reader random FILE COUNT          preads of 4 KiB at random multiples of 4 KiB
 *     path_reader stride FILE COUNT          preads of 4 KiB at each 64 KiB, from the beginning on
 *     path_reader scattered FILE COUNT       as random, past the kernel's pages (O_DIRECT)
 *     path_reader direct FILE COUNT          preads of 1 MiB in order, over and over, past the kernel's pages
 *     path_reader directory DIR [READERS [FILES]]
 *                                            every file of DIR, or so many, in the directory's order, by
 *                                            so many threads, each taking the next (1)
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum { READ_SIZE = 1 << 20, PAGE = 4096, STRIDE = 64 << 10, FILES_MAX = 16 };

static void *buffer_new(void) {
    void *buffer = aligned_alloc(PAGE, READ_SIZE);

    if (buffer == NULL)
        measure_stop("path_reader", "out of memory");
    return memset(buffer, 0, READ_SIZE); /* its page faults belong before the clock */
}

static int open_at(int directory, const char *path, int flags) {
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC | flags);

    if (fd < 0)
        measure_stop(path, strerror(errno));
    return fd;
}

static int64_t read_to_end(int fd, const char *path, void *buffer) {
    int64_t bytes = 0;
    ssize_t got;

    while ((got = read(fd, buffer, READ_SIZE)) > 0)
        bytes += got;
    if (got < 0)
        measure_stop(path, strerror(errno));
    return bytes;
}

struct stream {
    const char *path;
    void *buffer;
    int64_t bytes;
};

static void *read_stream(void *argument) {
    struct stream *stream = argument;
    int fd = open_at(AT_FDCWD, stream->path, 0);

    stream->bytes = read_to_end(fd, stream->path, stream->buffer);
    close(fd);
    return NULL;
}

static void read_sequential(int count, char **paths) {
    struct stream streams[FILES_MAX];
    pthread_t threads[FILES_MAX];
    int64_t bytes = 0;
    double start;

    if (count > FILES_MAX)
        measure_stop("path_reader", "too many files");
    for (int i = 0; i < count; i++)
        streams[i] = (struct stream){ .path = paths[i], .buffer = buffer_new() };
    start = measure_now();
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, read_stream, &streams[i]) != 0)
            measure_stop("path_reader", "cannot start a thread");
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
        bytes += streams[i].bytes;
    }
    measure_report(stdout, bytes, count, start);
    for (int i = 0; i < count; i++)
        free(streams[i].buffer);
}

static void read_mapped(const char *path) {
    uint8_t *buffer = buffer_new(), *map;
    double start = measure_now();
    int fd = open_at(AT_FDCWD, path, 0);
    struct stat status;
    size_t size;

    if (fstat(fd, &status) != 0)
        measure_stop(path, strerror(errno));
    size = (size_t)status.st_size;
    map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        measure_stop(path, strerror(errno));
    for (size_t at = 0; at < size; at += READ_SIZE)
        memcpy(buffer, map + at, size - at < READ_SIZE ? size - at : READ_SIZE);
    measure_report(stdout, status.st_size, 1, start);
    munmap(map, size);
    close(fd);
    free(buffer);
}

struct places {
    off_t (*place)(int64_t number, off_t size);
    size_t piece;
    int flags;
};

/* The same seed each time: every contestant reads the same places. */
static off_t place_at_random(int64_t number, off_t size) {
    static uint64_t seed = 88172645463325252u;

    (void)number;
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (off_t)(seed % (uint64_t)(size / PAGE)) * PAGE;
}

static off_t place_in_strides(int64_t number, off_t size) {
    return number % (size / STRIDE) * STRIDE;
}

static off_t place_in_order(int64_t number, off_t size) {
    return number % (size / READ_SIZE) * READ_SIZE;
}

static const struct places at_random = { place_at_random, PAGE, 0 }, in_strides = { place_in_strides, PAGE, 0 },
                           scattered = { place_at_random, PAGE, O_DIRECT }, in_order = { place_in_order, READ_SIZE, O_DIRECT };

static void read_places(const char *path, int64_t count, const struct places *places) {
    void *buffer = buffer_new();
    int fd = open_at(AT_FDCWD, path, places->flags);
    struct stat status;
    double start;
    int64_t bytes = 0;

    if (fstat(fd, &status) != 0 || status.st_size < READ_SIZE)
        measure_stop(path, "cannot be read in places");
    start = measure_now();
    for (int64_t i = 0; i < count; i++) {
        ssize_t got = pread(fd, buffer, places->piece, places->place(i, status.st_size));

        if (got != (ssize_t)places->piece)
            measure_stop(path, got < 0 ? strerror(errno) : "short read");
        bytes += got;
    }
    measure_report(stdout, bytes, count, start);
    close(fd);
    free(buffer);
}

struct listing {
    DIR *directory;
    pthread_mutex_t lock;
    int64_t bytes, files, left;
};

/* The next name, or false at the end, or when enough were had. */
static bool next_name(struct listing *listing, char name[256]) {
    struct dirent *entry;

    pthread_mutex_lock(&listing->lock);
    do
        entry = readdir(listing->directory);
    while (entry != NULL && entry->d_name[0] == '.');
    if (entry != NULL && listing->left-- <= 0)
        entry = NULL;
    if (entry != NULL)
        strcpy(name, entry->d_name);
    pthread_mutex_unlock(&listing->lock);
    return entry != NULL;
}

static void *read_listed(void *argument) {
    struct listing *listing = argument;
    void *buffer = buffer_new();
    char name[256];

    while (next_name(listing, name)) {
        int fd = open_at(dirfd(listing->directory), name, 0);
        int64_t bytes = read_to_end(fd, name, buffer);

        close(fd);
        pthread_mutex_lock(&listing->lock);
        listing->bytes += bytes;
        listing->files++;
        pthread_mutex_unlock(&listing->lock);
    }
    free(buffer);
    return NULL;
}

static void read_directory(const char *path, int readers, int64_t files) {
    pthread_t threads[FILES_MAX];
    double start = measure_now();
    struct listing listing = { .directory = opendir(path), .lock = PTHREAD_MUTEX_INITIALIZER, .left = files };

    if (listing.directory == NULL)
        measure_stop(path, strerror(errno));
    if (readers < 1 || readers > FILES_MAX)
        measure_stop("path_reader", "too many readers");
    for (int i = 1; i < readers; i++)
        if (pthread_create(&threads[i], NULL, read_listed, &listing) != 0)
            measure_stop("path_reader", "cannot start a thread");
    read_listed(&listing);
    for (int i = 1; i < readers; i++)
        pthread_join(threads[i], NULL);
    measure_report(stdout, listing.bytes, listing.files, start);
    closedir(listing.directory);
}

int main(int argc, char **argv) {
    const char *mode = argc >= 3 ? argv[1] : "";

    if (strcmp(mode, "sequential") == 0)
        read_sequential(argc - 2, argv + 2);
    else if (strcmp(mode, "mmap") == 0 && argc == 3)
        read_mapped(argv[2]);
    else if (strcmp(mode, "random") == 0 && argc == 4)
        read_places(argv[2], atoll(argv[3]), &at_random);
    else if (strcmp(mode, "stride") == 0 && argc == 4)
        read_places(argv[2], atoll(argv[3]), &in_strides);
    else if (strcmp(mode, "scattered") == 0 && argc == 4)
        read_places(argv[2], atoll(argv[3]), &scattered);
    else if (strcmp(mode, "direct") == 0 && argc == 4)
        read_places(argv[2], atoll(argv[3]), &in_order);
    else if (strcmp(mode, "directory") == 0 && argc <= 5)
        read_directory(argv[2], argc >= 4 ? atoi(argv[3]) : 1, argc == 5 ? atoll(argv[4]) : INT64_MAX);
    else
        measure_stop("usage", "path_reader sequential FILE... | mmap FILE | "
                              "random|scattered|stride|direct FILE COUNT | directory DIR [READERS [FILES]]");
    return 0;
}
