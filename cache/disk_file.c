#include "cache/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache/base/cleanup.h"
#include "cache/base/wire.h"
#include "cache/whole.h"

enum { HEAD = 16, PAGE = 4096, MAGIC = 0x6b6863, USED_SECONDS = 60 }; /* "chk" */

static char *put_hex(char *at, const unsigned char *bytes, size_t size) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        *at++ = digits[bytes[i] >> 4];
        *at++ = digits[bytes[i] & 15];
    }
    return at;
}

void disk_file_init(struct disk_file *file, const unsigned char realm[DISK_REALM],
                    const unsigned char revision[REVISION_KEY_SIZE], int64_t length, uint32_t chunk_size) {
    memset(file, 0, sizeof *file);
    char *at = put_hex(file->name, realm, DISK_REALM);
    *at++ = '-';
    at = put_hex(at, revision, REVISION_KEY_SIZE);
    snprintf(at, (size_t)(file->name + sizeof file->name - at), ".v%d", DISK_FORMAT);
    file->length = length;
    file->chunk_size = chunk_size;
}

bool disk_file_is_name(const char *name) {
    static const char hex[] = "0123456789abcdef";
    if (strspn(name, hex) != 2 * DISK_REALM || name[2 * DISK_REALM] != '-')
        return false;
    const char *rest = name + 2 * DISK_REALM + 1;
    if (strspn(rest, hex) != 2 * REVISION_KEY_SIZE || strncmp(rest + 2 * REVISION_KEY_SIZE, ".v", 2) != 0)
        return false;
    rest += 2 * REVISION_KEY_SIZE + 2;
    return *rest && rest[strspn(rest, "0123456789")] == '\0';
}

size_t disk_file_chunk(const struct disk_file *file, uint32_t n) {
    int64_t rest = file->length - (int64_t)n * file->chunk_size;
    return rest <= 0 ? 0 : rest < file->chunk_size ? (size_t)rest : file->chunk_size;
}

static int64_t slot_size(const struct disk_file *file) {
    return ((int64_t)HEAD + file->chunk_size + PAGE - 1) / PAGE * PAGE;
}

static int64_t whole_size(const struct disk_file *file) {
    int64_t last = file->length > 0 ? (file->length - 1) / file->chunk_size : 0;
    return last * slot_size(file) + HEAD + (int64_t)disk_file_chunk(file, (uint32_t)last);
}

/* Whether it is worth trusting as far as a checksum goes, and ours to write to. One that was just removed is. */
static bool is_ours(const struct stat *status) {
    return S_ISREG(status->st_mode) && status->st_uid == geteuid() && status->st_nlink <= 1 &&
           !(status->st_mode & S_IWOTH);
}

int disk_file_open(const char *folder, const struct disk_file *file, bool to_write) {
    cleanup_free char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, file->name) < 0)
        return -ENOMEM;
    int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; /* whatever stands there, nothing waits for it */
    int fd = openat(AT_FDCWD, path, flags | (to_write ? O_RDWR | O_CREAT : O_RDONLY), 0600);
    if (fd < 0)
        return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EPERM : -errno;
    struct stat status;
    int result = fstat(fd, &status) ? -errno : is_ours(&status) ? 0 : -EPERM;
    /* Of its whole size at once: file systems (XFS) take more for one that grows. */
    if (result == 0 && to_write && status.st_size == 0 && ftruncate(fd, whole_size(file)))
        result = -errno;
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

void disk_file_expect(int fd, const struct disk_file *file, uint32_t first, uint32_t count) {
    int64_t slot = slot_size(file);
    (void)posix_fadvise(fd, first * slot, count * slot, POSIX_FADV_WILLNEED);
}

static uint64_t checksum_of(const struct disk_file *file, uint32_t n, const void *bytes, size_t size) {
    unsigned char place[DISK_FILE_NAME + 16];
    struct wire_writer writer = {.bytes = place};
    wire_put(&writer, file->name, sizeof file->name);
    wire_put_32(&writer, n);
    wire_put_64(&writer, size);
    return XXH3_64bits_withSeed(bytes, size, XXH3_64bits(place, writer.size));
}

static void make_head(const struct disk_file *file, uint32_t n, const void *bytes, size_t size,
                      unsigned char ret_head[HEAD]) {
    struct wire_writer writer = {.bytes = ret_head};
    wire_put_32(&writer, MAGIC << 8 | DISK_FORMAT);
    wire_put_32(&writer, (uint32_t)size);
    wire_put_64(&writer, checksum_of(file, n, bytes, size));
}

int disk_file_read(int fd, const struct disk_file *file, uint32_t n, void *into) {
    static const unsigned char nothing[HEAD];
    unsigned char head[HEAD], wanted[HEAD];
    size_t size = disk_file_chunk(file, n);
    int64_t offset = n * slot_size(file);
    int result = whole_read(fd, offset, head, HEAD);
    if (result == -EIO || (result == 0 && memcmp(head, nothing, HEAD) == 0))
        return -ENOENT; /* a hole, or behind the end */
    if (result == 0)
        result = whole_read(fd, offset + HEAD, into, size);
    if (result)
        return -EBADMSG;
    make_head(file, n, into, size, wanted);
    return memcmp(head, wanted, HEAD) == 0 ? 0 : -EBADMSG;
}

int disk_file_write(int fd, const struct disk_file *file, uint32_t n, const void *bytes) {
    unsigned char head[HEAD];
    size_t size = disk_file_chunk(file, n);
    int64_t offset = n * slot_size(file);
    make_head(file, n, bytes, size, head);
    int result = whole_write(fd, offset + HEAD, bytes, size);
    return result ? result : whole_write(fd, offset, head, HEAD);
}

/* A date in the future is none: the clock was set back. */
void disk_file_use(int fd) {
    struct stat status;
    struct timespec now, times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    clock_gettime(CLOCK_REALTIME, &now);
    if (fstat(fd, &status) || (status.st_mtime <= now.tv_sec && now.tv_sec - status.st_mtime < USED_SECONDS))
        return;
    (void)futimens(fd, times);
}
