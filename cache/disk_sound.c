#include "cache/disk_sound.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/stats.h"

struct known {
    struct disk_file file;
    int fd;             /* of the content: it stays the one that it is */
    struct stat status; /* of that */
    uint32_t left;      /* chunks that were not found sound yet */
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

static void forget(struct known *known) {
    if (known->bits)
        close(known->fd);
    free(known->bits);
    *known = (struct known){0};
}

struct disk_sound *disk_sound_free(struct disk_sound *sound) {
    for (unsigned i = 0; sound && i < SOUND_FILES; i++)
        forget(&sound->files[i]);
    if (sound)
        lock_done(&sound->lock);
    free(sound);
    return NULL;
}

/* ---- all under the lock ---- */

static struct known *find(struct disk_sound *sound, const struct disk_file *file) {
    for (unsigned i = 0; i < SOUND_FILES; i++)
        if (sound->files[i].bits && strcmp(sound->files[i].file.name, file->name) == 0)
            return &sound->files[i];
    return NULL;
}

static bool same_file(const struct stat *one, const struct stat *other) {
    return one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

static void mark(struct known *known, uint32_t n) {
    unsigned char bit = (unsigned char)(1 << n % 8);
    known->left -= !(known->bits[n / 8] & bit);
    known->bits[n / 8] |= bit;
}

static struct known *oldest(struct disk_sound *sound) {
    struct known *oldest = &sound->files[0];
    for (unsigned i = 1; i < SOUND_FILES; i++)
        if (sound->files[i].used < oldest->used)
            oldest = &sound->files[i];
    return oldest;
}

/* Takes the place of what is known of another file of its name, or of the one that was not used for longest. */
static struct known *learn(struct disk_sound *sound, const struct disk_file *file, int content,
                           const struct stat *status) {
    struct known *known = find(sound, file);
    if (known && same_file(&known->status, status))
        return known;
    uint32_t chunks = disk_file_chunks(file);
    unsigned char *bits = calloc(chunks / 8 + 1, 1);
    int fd = bits ? fcntl(content, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0) {
        free(bits);
        return NULL;
    }
    known = known ? known : oldest(sound);
    forget(known);
    *known = (struct known){.file = *file, .fd = fd, .status = *status, .left = chunks, .bits = bits};
    return known;
}

/* ---- looking ---- */

/* The next chunk that is not known to be sound, or how many there are. */
static uint32_t next_of(struct disk_sound *sound, const struct disk_file *file, const struct stat *status, uint32_t n) {
    uint32_t chunks = disk_file_chunks(file);
    lock_acquire(&sound->lock);
    const struct known *known = find(sound, file);
    bool same = known && same_file(&known->status, status);
    while (same && n < chunks && known->bits[n / 8] & 1 << n % 8)
        n++;
    lock_release(&sound->lock);
    return n;
}

/* Looks at what memory has of it. */
static int look_at(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file,
                   const struct stat *status) {
    int64_t until_ms = clock_now_ms() + SOUND_MS;
    uint32_t chunks = disk_file_chunks(file), n = next_of(sound, file, status, 0);
    cleanup_free unsigned char *bytes = n < chunks ? malloc(file->chunk_size) : NULL;
    int result = n < chunks && !bytes ? -ENOMEM : 0;
    while (result == 0 && n < chunks) {
        result = disk_file_read_at_once(open, file, n, bytes);
        if (result == 0)
            disk_sound_note(sound, open, file, n);
        if (result == 0 && clock_now_ms() > until_ms)
            result = -EAGAIN;
        if (result == 0)
            n = next_of(sound, file, status, n + 1);
    }
    if (result == -EBADMSG)
        stats_add(STAT_disk_damaged, 1);
    return result == -ENOENT ? -EAGAIN : result;
}

/* Whether what is left is little enough to be looked at now. */
static bool begin(struct disk_sound *sound, const struct disk_file *file, int content, const struct stat *status) {
    lock_acquire(&sound->lock);
    struct known *known = learn(sound, file, content, status);
    if (known)
        known->used = ++sound->turns;
    bool little = known && (int64_t)known->left * file->chunk_size <= SOUND_BYTES;
    lock_release(&sound->lock);
    return little;
}

static bool is_whole(struct disk_sound *sound, const struct disk_file *file, const struct stat *status) {
    lock_acquire(&sound->lock);
    const struct known *known = find(sound, file);
    bool whole = known && known->left == 0 && same_file(&known->status, status);
    lock_release(&sound->lock);
    return whole;
}

int disk_sound_open(struct disk_sound *sound, const char *folder, const struct disk_file *file) {
    cleanup_disk_open struct disk_open open = {-1, -1};
    struct stat status;
    int result = disk_file_open(folder, file, false, &open);
    if (result)
        return result;
    if (fstat(open.content, &status) || status.st_size != file->length || open.heads == open.content)
        return -EBADMSG; /* who reads it without us would find another end */
    if (!begin(sound, file, open.content, &status))
        return -EAGAIN;
    disk_file_use(&open);
    result = look_at(sound, &open, file, &status);
    if (result || !is_whole(sound, file, &status))
        return result ? result : -EAGAIN;
    int fd = fcntl(open.content, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

void disk_sound_note(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file, uint32_t n) {
    struct stat status;
    lock_acquire(&sound->lock);
    struct known *known = find(sound, file);
    if (known && known->left && fstat(open->content, &status) == 0 && same_file(&known->status, &status))
        mark(known, n);
    lock_release(&sound->lock);
}

void disk_sound_tick(struct disk_sound *sound) {
    lock_acquire(&sound->lock);
    for (unsigned i = 0; i < SOUND_FILES; i++) {
        struct stat status;
        struct known *known = &sound->files[i];
        if (known->bits && (fstat(known->fd, &status) || status.st_nlink == 0))
            forget(known);
    }
    lock_release(&sound->lock);
}
