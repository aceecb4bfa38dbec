// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_sound.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/lock.h"
#include "cache/base/stats.h"

enum { HANDLE_FID = 0x200, BITS = 8 }; /* AT_HANDLE_FID, of Linux 6.5: file systems that export nothing have handles too */

/* What tells a file from all others that ever were: who gets its inode number next has another generation. */
struct identity {
    dev_t device;
    union {
        struct file_handle handle;
        unsigned char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ]; /* zeros behind its end */
    };
};

struct known {
    struct disk_file file;
    struct identity identity; /* of its content */
    uint32_t left;            /* chunks that were not found sound yet */
    uint64_t used;
    unsigned char *bits; /* the others; NULL: this is no file */
};

struct disk_sound {
    struct lock lock; /* guards what follows */
    uint64_t turns;
    struct known files[SOUND_FILES];
};

struct disk_sound *disk_sound_new(void) {
    struct disk_sound *sound = calloc(1, sizeof *sound);
    if (sound)
        lock_init(&sound->lock, LOCK_DISK);
    return sound;
}

struct disk_sound *disk_sound_free(struct disk_sound *sound) {
    for (unsigned i = 0; sound && i < SOUND_FILES; i++)
        free(sound->files[i].bits);
    if (sound)
        lock_done(&sound->lock);
    free(sound);
    return NULL;
}

/* 0 or -errno: some file systems cannot tell. */
static int identify(int fd, struct identity *ret_identity) {
    static const int flags[] = {AT_EMPTY_PATH | HANDLE_FID, AT_EMPTY_PATH};
    struct stat status;
    int mount, result = fstat(fd, &status) ? -errno : -EINVAL;
    for (unsigned i = 0; result == -EINVAL && i < 2; i++) {
        memset(ret_identity, 0, sizeof *ret_identity);
        ret_identity->device = status.st_dev;
        ret_identity->handle.handle_bytes = MAX_HANDLE_SZ;
        result = name_to_handle_at(fd, "", &ret_identity->handle, &mount, flags[i]) ? -errno : 0;
    }
    return result;
}

static bool is_same(const struct identity *one, const struct identity *other) {
    return memcmp(one, other, sizeof *one) == 0;
}

/* ---- all under the lock ---- */

static struct known *find(struct disk_sound *sound, const struct disk_file *file) {
    for (unsigned i = 0; i < SOUND_FILES; i++)
        if (sound->files[i].bits && strcmp(sound->files[i].file.name, file->name) == 0)
            return &sound->files[i];
    return NULL;
}

static bool is_sound(const struct known *known, uint32_t n) {
    return known->bits[n / BITS] >> n % BITS & 1;
}

static void mark(struct known *known, uint32_t n, bool sound) {
    if (is_sound(known, n) == sound)
        return;
    known->bits[n / BITS] ^= (unsigned char)(1 << n % BITS);
    known->left += sound ? -1u : 1u;
}

static struct known *oldest(struct disk_sound *sound) {
    struct known *oldest = &sound->files[0];
    for (unsigned i = 1; i < SOUND_FILES; i++)
        if (sound->files[i].used < oldest->used)
            oldest = &sound->files[i];
    return oldest;
}

/* Takes the place of what is known of another file of its name, or of the one that was not used for longest. */
static struct known *learn(struct disk_sound *sound, const struct disk_file *file, const struct identity *identity) {
    struct known *known = find(sound, file);
    if (known && is_same(&known->identity, identity))
        return known;
    uint32_t chunks = disk_file_chunks(file);
    unsigned char *bits = calloc(chunks / BITS + 1, 1);
    if (!bits)
        return NULL;
    known = known ? known : oldest(sound);
    free(known->bits);
    *known = (struct known){.file = *file, .identity = *identity, .left = chunks, .bits = bits};
    return known;
}

/* ---- looking ---- */

/* The next chunk that is not known to be sound, or how many there are. */
static uint32_t next_of(struct disk_sound *sound, const struct disk_file *file, const struct identity *identity,
                        uint32_t n) {
    uint32_t chunks = disk_file_chunks(file);
    lock_acquire(&sound->lock);
    const struct known *known = find(sound, file);
    bool same = known && is_same(&known->identity, identity);
    while (same && n < chunks && is_sound(known, n))
        n++;
    lock_release(&sound->lock);
    return n;
}

/* Of work: on a busy machine it would else be waiting that ends it. */
static int64_t spent_ms(void) {
    struct timespec spent;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
    return (int64_t)spent.tv_sec * 1000 + spent.tv_nsec / 1000000;
}

/* Looks at what memory has of it. */
static int look_at(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file,
                   const struct identity *identity) {
    int64_t until_ms = spent_ms() + SOUND_MS;
    uint32_t chunks = disk_file_chunks(file), n = next_of(sound, file, identity, 0);
    cleanup_free unsigned char *bytes = n < chunks ? malloc(file->chunk_size) : NULL;
    int result = n < chunks && !bytes ? -ENOMEM : 0;
    while (result == 0 && n < chunks) {
        result = disk_file_read_at_once(open, file, n, bytes);
        disk_sound_note(sound, open, file, n, result);
        if (result == 0 && spent_ms() > until_ms)
            result = -EAGAIN;
        if (result == 0)
            n = next_of(sound, file, identity, n + 1);
    }
    if (result == -EBADMSG)
        stats_add(STAT_disk_damaged, 1);
    return result == -ENOENT ? -EAGAIN : result;
}

/* Whether what is left is little enough to be looked at now. */
static bool begin(struct disk_sound *sound, const struct disk_file *file, const struct identity *identity) {
    lock_acquire(&sound->lock);
    struct known *known = learn(sound, file, identity);
    if (known)
        known->used = ++sound->turns;
    bool little = known && (int64_t)known->left * file->chunk_size <= SOUND_BYTES;
    lock_release(&sound->lock);
    return little;
}

static bool is_whole(struct disk_sound *sound, const struct disk_file *file, const struct identity *identity) {
    lock_acquire(&sound->lock);
    const struct known *known = find(sound, file);
    bool whole = known && known->left == 0 && is_same(&known->identity, identity);
    lock_release(&sound->lock);
    return whole;
}

int disk_sound_open(struct disk_sound *sound, const char *folder, const struct disk_file *file) {
    cleanup_disk_open struct disk_open open = {-1, -1};
    struct identity identity;
    struct stat status;
    int result = disk_file_open(folder, file, false, &open);
    if (result)
        return result;
    if (fstat(open.content, &status) || status.st_size != file->length || open.heads == open.content)
        return -EBADMSG; /* who reads it without us would find another end */
    result = identify(open.content, &identity);
    if (result == 0 && (disk_file_chunks(file) > SOUND_CHUNKS || !begin(sound, file, &identity)))
        result = -EAGAIN;
    if (result)
        return result;
    disk_file_use(&open);
    result = look_at(sound, &open, file, &identity);
    if (result || !is_whole(sound, file, &identity))
        return result ? result : -EAGAIN;
    int fd = open.content;
    open.content = -1;
    return fd;
}

static bool is_known(struct disk_sound *sound, const struct disk_file *file) {
    lock_acquire(&sound->lock);
    bool known = find(sound, file);
    lock_release(&sound->lock);
    return known;
}

void disk_sound_note(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file, uint32_t n,
                     int found) {
    struct identity identity;
    if ((found && found != -EBADMSG) || !is_known(sound, file) || identify(open->content, &identity))
        return;
    lock_acquire(&sound->lock);
    struct known *known = find(sound, file);
    if (known && is_same(&known->identity, &identity))
        mark(known, n, found == 0);
    lock_release(&sound->lock);
}
