/*
 * The program that only knows paths: reads files as cat, a memory map, random readers
 * and small-file loaders do. It runs alike on the mount and on tmpfs.
 *
 *     path_reader sequential FILE...         one thread per file, reads of 1 MiB
 *     path_reader mmap FILE                  maps the file and copies it out by 1 MiB
 *     path_reader random FILE COUNT          preads of 4 KiB at random multiples of 4 KiB
 *     path_reader directory DIR              every file of DIR, in the directory's order
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"

enum { READ_SIZE = 1 << 20, PAGE = 4096, FILES_MAX = 16 };

static void *buffer_new(void) {
    void *buffer = aligned_alloc(PAGE, READ_SIZE);

    if (buffer == NULL)
        measure_stop("path_reader", "out of memory");
    return memset(buffer, 0, READ_SIZE); /* its page faults belong before the clock */
}

static int open_at(int directory, const char *path) {
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);

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
    int fd = open_at(AT_FDCWD, stream->path);

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
    int fd = open_at(AT_FDCWD, path);
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

/* The same seed each time: every contestant reads the same places. */
static void read_random(const char *path, int64_t count) {
    void *buffer = buffer_new();
    int fd = open_at(AT_FDCWD, path);
    uint64_t seed = 88172645463325252u;
    struct stat status;
    double start;
    int64_t bytes = 0;

    if (fstat(fd, &status) != 0 || status.st_size < PAGE)
        measure_stop(path, "cannot be read at random");
    start = measure_now();
    for (int64_t i = 0; i < count; i++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        off_t page = (off_t)(seed % (uint64_t)(status.st_size / PAGE));
        ssize_t got = pread(fd, buffer, PAGE, page * PAGE);

        if (got != PAGE)
            measure_stop(path, got < 0 ? strerror(errno) : "short read");
        bytes += got;
    }
    measure_report(stdout, bytes, count, start);
    close(fd);
    free(buffer);
}

static void read_directory(const char *path) {
    void *buffer = buffer_new();
    double start = measure_now();
    DIR *directory = opendir(path);
    struct dirent *entry;
    int64_t bytes = 0, files = 0;

    if (directory == NULL)
        measure_stop(path, strerror(errno));
    while ((entry = readdir(directory)) != NULL) {
        int fd;

        if (entry->d_name[0] == '.')
            continue;
        fd = open_at(dirfd(directory), entry->d_name);
        bytes += read_to_end(fd, entry->d_name, buffer);
        close(fd);
        files++;
    }
    measure_report(stdout, bytes, files, start);
    closedir(directory);
    free(buffer);
}

int main(int argc, char **argv) {
    const char *mode = argc >= 3 ? argv[1] : "";

    if (strcmp(mode, "sequential") == 0)
        read_sequential(argc - 2, argv + 2);
    else if (strcmp(mode, "mmap") == 0 && argc == 3)
        read_mapped(argv[2]);
    else if (strcmp(mode, "random") == 0 && argc == 4)
        read_random(argv[2], atoll(argv[3]));
    else if (strcmp(mode, "directory") == 0 && argc == 3)
        read_directory(argv[2]);
    else
        measure_stop("usage", "path_reader sequential FILE... | mmap FILE | "
                              "random FILE COUNT | directory DIR");
    return 0;
}
