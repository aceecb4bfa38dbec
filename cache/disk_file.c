// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

/* The length of what begins as such a name, of any format; 0: nothing of it. */
static size_t stem(const char *name) {
    static const char hex[] = "0123456789abcdef";
    if (strspn(name, hex) != 2 * DISK_REALM || name[2 * DISK_REALM] != '-')
        return 0;
    const char *rest = name + 2 * DISK_REALM + 1;
    if (strspn(rest, hex) != 2 * REVISION_KEY_SIZE || strncmp(rest + 2 * REVISION_KEY_SIZE, ".v", 2) != 0)
        return 0;
    rest += 2 * REVISION_KEY_SIZE + 2;
    size_t digits = strspn(rest, "0123456789"), size = (size_t)(rest - name) + digits;
    return digits && size + 1 < DISK_FILE_NAME ? size : 0;
}

bool disk_file_is_name(const char *name, char ret_heads[DISK_FILE_NAME]) {
    size_t size = stem(name);
    if (!size || name[size] != '\0')
        return false;
    snprintf(ret_heads, DISK_FILE_NAME, "%.*sh", (int)size, name);
    return true;
}

bool disk_file_is_heads(const char *name, char ret_content[DISK_FILE_NAME]) {
    size_t size = stem(name);
    if (!size || strcmp(name + size, "h") != 0)
        return false;
    snprintf(ret_content, DISK_FILE_NAME, "%.*s", (int)size, name);
    return true;
}

uint32_t disk_file_chunks(const struct disk_file *file) {
    return (uint32_t)((file->length + file->chunk_size - 1) / file->chunk_size);
}

size_t disk_file_chunk(const struct disk_file *file, uint32_t n) {
    int64_t rest = file->length - (int64_t)n * file->chunk_size;
    return rest <= 0 ? 0 : rest < file->chunk_size ? (size_t)rest : file->chunk_size;
}

static bool is_single(const struct disk_file *file) {
    return file->length <= file->chunk_size;
}

static int64_t head_at(const struct disk_file *file, uint32_t n) {
    return is_single(file) ? file->length : (int64_t)n * HEAD;
}

int64_t disk_file_tail(const struct disk_file *file) {
    return (int64_t)disk_file_chunks(file) * HEAD;
}

/* In whole pages. */
static int64_t pages_of(int64_t start, int64_t end) {
    return ((end + PAGE - 1) / PAGE - start / PAGE) * PAGE;
}

int64_t disk_file_takes(const struct disk_file *file, uint32_t first, uint32_t count) {
    uint32_t last = first + count - 1;
    int64_t start = (int64_t)first * file->chunk_size;
    int64_t end = (int64_t)last * file->chunk_size + (int64_t)disk_file_chunk(file, last);
    if (is_single(file))
        return pages_of(start, end + HEAD);
    int64_t tail = last + 1 == disk_file_chunks(file) ? DISK_FILE_TAIL : 0;
    return pages_of(start, end) + pages_of(head_at(file, first), head_at(file, last) + HEAD + tail);
}

/* Whether it is worth trusting as far as a checksum goes, and ours to write to. One that was just removed is. */
static bool is_ours(const struct stat *status) {
    return S_ISREG(status->st_mode) && status->st_uid == geteuid() && status->st_nlink <= 1 &&
           !(status->st_mode & S_IWOTH);
}

/* Who can change the directory above may have put something else there, which is not to be filled. */
static int open_folder(const char *folder) {
    struct stat status;
    int fd = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid())
        return fd;
    close(fd);
    return -EACCES;
}

/* A descriptor, or -errno. What is made is of `size` bytes. */
static int open_part(const char *folder, const char *name, int access, int64_t size) {
    cleanup_fd int directory = open_folder(folder);
    if (directory < 0)
        return directory;
    int flags = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC; /* whatever stands there, nothing waits for it */
    int fd = openat(directory, name, flags | access, 0600);
    if (fd < 0)
        return errno == ELOOP || errno == EISDIR || errno == ENXIO ? -EPERM : -errno;
    struct stat status;
    int result = fstat(fd, &status) ? -errno : is_ours(&status) ? 0 : -EPERM;
    /* Of its whole size at once: file systems (XFS) take more for one that grows. */
    if (result == 0 && access & O_CREAT && status.st_size < size && ftruncate(fd, size))
        result = -errno;
    if (result == 0)
        return fd;
    close(fd);
    return result;
}

static int open_heads(const char *folder, const struct disk_file *file, int access) {
    char heads[DISK_FILE_NAME + 1];
    snprintf(heads, sizeof heads, "%sh", file->name);
    return open_part(folder, heads, access, disk_file_tail(file) + DISK_FILE_TAIL);
}

int disk_file_open_heads(const char *folder, const struct disk_file *file) {
    return open_heads(folder, file, O_RDWR);
}

int disk_file_open(const char *folder, const struct disk_file *file, bool to_write, struct disk_open *ret_open) {
    int access = to_write ? O_RDWR | O_CREAT : O_RDONLY;
    int64_t size = file->length + (is_single(file) ? HEAD : 0);
    int content = open_part(folder, file->name, access, size);
    if (content < 0 || is_single(file)) {
        if (content >= 0)
            *ret_open = (struct disk_open){.content = content, .heads = content};
        return content < 0 ? content : 0;
    }
    int fd = open_heads(folder, file, access);
    if (fd < 0) {
        close(content);
        return fd;
    }
    *ret_open = (struct disk_open){.content = content, .heads = fd};
    return 0;
}

void disk_file_close(struct disk_open *open) {
    if (open->heads >= 0 && open->heads != open->content)
        close(open->heads);
    if (open->content >= 0)
        close(open->content);
    *open = (struct disk_open){-1, -1};
}

void disk_file_remove(const char *folder, const struct disk_file *file) {
    cleanup_free char *path = NULL;
    if (asprintf(&path, "%s/%s", folder, file->name) >= 0)
        (void)unlink(path); /* who makes room removes the heads */
}

void disk_file_expect(const struct disk_open *open, const struct disk_file *file, uint32_t first, uint32_t count) {
    int64_t size = file->chunk_size;
    (void)posix_fadvise(open->content, first * size, count * size, POSIX_FADV_WILLNEED);
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

/* 0 or -errno; -EIO: the file ends before. */
static int read_what_memory_has(int fd, int64_t offset, void *into, size_t size) {
    struct iovec part = {.iov_base = into, .iov_len = size};
    ssize_t got = preadv2(fd, &part, 1, offset, RWF_NOWAIT);
    return got == (ssize_t)size ? 0 : got == 0 ? -EIO : -EAGAIN;
}

typedef int read_bytes(int fd, int64_t offset, void *into, size_t size);

static int read_by(read_bytes *reads, const struct disk_open *open, const struct disk_file *file, uint32_t n,
                   void *into) {
    static const unsigned char nothing[HEAD];
    unsigned char head[HEAD], wanted[HEAD];
    size_t size = disk_file_chunk(file, n);
    int result = whole_read(open->heads, head_at(file, n), head, HEAD);
    if (result == -EIO || (result == 0 && memcmp(head, nothing, HEAD) == 0))
        return -ENOENT; /* a hole, or behind the end */
    if (result == 0)
        result = reads(open->content, (int64_t)n * file->chunk_size, into, size);
    if (result)
        return result == -EAGAIN ? result : -EBADMSG;
    make_head(file, n, into, size, wanted);
    return memcmp(head, wanted, HEAD) == 0 ? 0 : -EBADMSG;
}

int disk_file_read(const struct disk_open *open, const struct disk_file *file, uint32_t n, void *into) {
    return read_by(whole_read, open, file, n, into);
}

int disk_file_read_at_once(const struct disk_open *open, const struct disk_file *file, uint32_t n, void *into) {
    return read_by(read_what_memory_has, open, file, n, into);
}

static bool is_in_memory(int fd, int64_t offset, const unsigned char *bytes, size_t size) {
    unsigned char there[4 * PAGE];
    size_t some;
    for (; size; size -= some, offset += (int64_t)some, bytes += some) {
        some = size < sizeof there ? size : sizeof there;
        if (read_what_memory_has(fd, offset, there, some) || memcmp(there, bytes, some) != 0)
            return false;
    }
    return true;
}

int disk_file_write(const struct disk_open *open, const struct disk_file *file, uint32_t n, const void *bytes) {
    unsigned char head[HEAD], there[HEAD];
    size_t size = disk_file_chunk(file, n);
    int64_t offset = (int64_t)n * file->chunk_size;
    make_head(file, n, bytes, size, head);
    if (whole_read(open->heads, head_at(file, n), there, HEAD) == 0 && memcmp(there, head, HEAD) == 0 &&
        is_in_memory(open->content, offset, bytes, size))
        return 0;
    int result = whole_write(open->content, offset, bytes, size);
    return result ? result : whole_write(open->heads, head_at(file, n), head, HEAD);
}

/* A date in the future is none: the clock was set back. */
void disk_file_use(const struct disk_open *open) {
    struct stat status;
    struct timespec now, times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    clock_gettime(CLOCK_REALTIME, &now);
    if (fstat(open->heads, &status) || (status.st_mtime <= now.tv_sec && now.tv_sec - status.st_mtime < USED_SECONDS))
        return;
    (void)futimens(open->heads, times);
}
