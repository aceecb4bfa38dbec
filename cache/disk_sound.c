// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_sound.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/lock.h"
#include "cache/base/stats.h"
#include "cache/disk_mark.h"

enum { BITS = 8 };

struct known {
    struct disk_file file;
    struct disk_identity identity; /* of its content, as it was when a chunk was found sound or written last */
    uint32_t left;                 /* chunks that were not found sound yet */
    bool marked;                   /* or cannot be */
    uint64_t used;
    unsigned char *bits; /* the others; NULL: this is no file */
};

struct disk_sound {
    char *folder;
    struct lock lock; /* guards what follows */
    uint64_t turns;
    char writing[DISK_FILE_NAME]; /* the file whose ctime is about to be another, by us */
    struct known files[SOUND_FILES];
};

struct disk_sound *disk_sound_new(const char *folder) {
    struct disk_sound *sound = calloc(1, sizeof *sound);
    if (!sound)
        return NULL;
    lock_init(&sound->lock, LOCK_DISK);
    sound->folder = strdup(folder);
    return sound->folder ? sound : disk_sound_free(sound);
}

struct disk_sound *disk_sound_free(struct disk_sound *sound) {
    for (unsigned i = 0; sound && i < SOUND_FILES; i++)
        free(sound->files[i].bits);
    if (sound) {
        lock_done(&sound->lock);
        free(sound->folder);
    }
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

static bool is_later(const struct timespec *one, const struct timespec *other) {
    return one->tv_sec > other->tv_sec || (one->tv_sec == other->tv_sec && one->tv_nsec > other->tv_nsec);
}

static bool is_sound(const struct known *known, uint32_t n) {
    return known->bits[n / BITS] >> n % BITS & 1;
}

static void mark(struct known *known, const struct disk_identity *identity, uint32_t n) {
    if (is_sound(known, n))
        return;
    known->bits[n / BITS] |= (unsigned char)(1 << n % BITS);
    known->left--;
    known->marked = false;
    if (is_later(&identity->changed, &known->identity.changed))
        known->identity.changed = identity->changed;
}

static void forget(struct known *known) {
    known->left = disk_file_chunks(&known->file);
    memset(known->bits, 0, known->left / BITS + 1);
}

static struct known *oldest(struct disk_sound *sound) {
    struct known *oldest = &sound->files[0];
    for (unsigned i = 1; i < SOUND_FILES; i++)
        if (sound->files[i].used < oldest->used)
            oldest = &sound->files[i];
    return oldest;
}

/* Takes the place of what is known of another file of its name, or of the one that was not used for longest. */
static struct known *learn(struct disk_sound *sound, const struct disk_file *file, const struct disk_identity *identity) {
    struct known *known = find(sound, file);
    if (known && disk_identity_is_same(&known->identity, identity))
        return known;
    uint32_t chunks = disk_file_chunks(file);
    unsigned char *bits = calloc(chunks / BITS + 1, 1);
    if (!bits)
        return NULL;
    known = known ? known : oldest(sound);
    free(known->bits);
    *known = (struct known){
        .file = *file, .identity = *identity, .left = chunks, .used = ++sound->turns, .bits = bits};
    return known;
}

static struct known *find_same(struct disk_sound *sound, const struct disk_file *file,
                               const struct disk_identity *identity) {
    struct known *known = find(sound, file);
    return known && disk_identity_is_same(&known->identity, identity) ? known : NULL;
}

/* ---- looking ---- */

/* The next chunk that is not known to be sound, or how many there are. */
static uint32_t next_of(struct disk_sound *sound, const struct disk_file *file, const struct disk_identity *identity,
                        uint32_t n) {
    uint32_t chunks = disk_file_chunks(file);
    lock_acquire(&sound->lock);
    const struct known *known = find_same(sound, file, identity);
    while (known && n < chunks && is_sound(known, n))
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
                   const struct disk_identity *identity) {
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

/* How many bytes of it are not known to be sound, as it is now; or -errno. */
static int64_t begin(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file,
                     struct disk_identity *ret_identity) {
    lock_acquire(&sound->lock);
    int64_t left = disk_identify(open->content, ret_identity);
    struct known *known = left ? NULL : learn(sound, file, ret_identity);
    if (known) {
        if (!disk_identity_is_unchanged(&known->identity, ret_identity) && strcmp(sound->writing, file->name) != 0) {
            forget(known);
            known->identity = *ret_identity;
        }
        known->used = ++sound->turns;
        left = (int64_t)known->left * file->chunk_size;
    } else if (left == 0) {
        left = -ENOMEM;
    }
    lock_release(&sound->lock);
    return left;
}

static void trust(struct disk_sound *sound, const struct disk_file *file, const struct disk_identity *identity) {
    lock_acquire(&sound->lock);
    struct known *known = find_same(sound, file, identity);
    for (uint32_t n = 0; known && n < disk_file_chunks(file); n++)
        mark(known, identity, n);
    if (known) {
        known->identity = *identity;
        known->marked = true;
    }
    lock_release(&sound->lock);
}

/* 0: all of it is sound. */
static int find_sound(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file) {
    struct disk_identity identity;
    int64_t left = begin(sound, open, file, &identity);
    if (left > 0 && disk_mark_holds(open, file, &identity)) {
        trust(sound, file, &identity);
        left = 0;
    }
    if (left < 0 || left > SOUND_BYTES)
        return left < 0 ? (int)left : -EAGAIN;
    int result = look_at(sound, open, file, &identity);
    return result == 0 && begin(sound, open, file, &identity) != 0 ? -EAGAIN : result;
}

int disk_sound_open(struct disk_sound *sound, const struct disk_file *file) {
    cleanup_disk_open struct disk_open open = {-1, -1};
    struct stat status;
    int result = disk_file_open(sound->folder, file, false, &open);
    if (result)
        return result;
    if (fstat(open.content, &status) || status.st_size != file->length || open.heads == open.content)
        return -EBADMSG; /* who reads it without us would find another end */
    if (disk_file_chunks(file) > SOUND_CHUNKS)
        return -EAGAIN;
    disk_file_use(&open);
    result = find_sound(sound, &open, file);
    if (result)
        return result;
    int fd = open.content;
    open.content = -1;
    return fd;
}

/* ---- what is read and written ---- */

static bool is_known(struct disk_sound *sound, const struct disk_file *file) {
    lock_acquire(&sound->lock);
    bool known = find(sound, file);
    lock_release(&sound->lock);
    return known;
}

/* What has rotted in one place may have in others, that were looked at long ago or by another mount. */
static void note(struct disk_sound *sound, const struct disk_file *file, const struct disk_identity *identity, uint32_t n,
                 bool is_good) {
    lock_acquire(&sound->lock);
    struct known *known = find_same(sound, file, identity);
    if (known && is_good)
        mark(known, identity, n);
    else if (known)
        forget(known);
    lock_release(&sound->lock);
}

void disk_sound_note(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file, uint32_t n,
                     int found) {
    struct disk_identity identity;
    if (found == -EBADMSG && open->heads != open->content)
        disk_mark_clear(open);
    if ((found == 0 || found == -EBADMSG) && is_known(sound, file) && disk_identify(open->content, &identity) == 0)
        note(sound, file, &identity, n, found == 0);
}

void disk_sound_writes(struct disk_sound *sound, const struct disk_file *file) {
    lock_acquire(&sound->lock);
    strcpy(sound->writing, file->name);
    lock_release(&sound->lock);
}

void disk_sound_wrote(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file, uint32_t n,
                      int result) {
    struct disk_identity identity;
    bool matters = result == 0 && open->heads != open->content && disk_file_chunks(file) <= SOUND_CHUNKS;
    lock_acquire(&sound->lock);
    sound->writing[0] = '\0';
    if (matters && disk_identify(open->content, &identity) == 0) {
        struct known *known = learn(sound, file, &identity);
        if (known)
            mark(known, &identity, n);
    }
    lock_release(&sound->lock);
}

/* ---- marks ---- */

/* One that is whole and not marked, from *at on. */
static bool next_whole(struct disk_sound *sound, unsigned *at, struct disk_file *ret_file,
                       struct disk_identity *ret_identity) {
    const struct known *known = NULL;
    lock_acquire(&sound->lock);
    for (; !known && *at < SOUND_FILES; ++*at)
        if (sound->files[*at].bits && sound->files[*at].left == 0 && !sound->files[*at].marked)
            known = &sound->files[*at];
    if (known) {
        *ret_file = known->file;
        *ret_identity = known->identity;
    }
    lock_release(&sound->lock);
    return known;
}

static void set_marked(struct disk_sound *sound, const struct disk_file *file, const struct disk_identity *identity) {
    lock_acquire(&sound->lock);
    struct known *known = find_same(sound, file, identity);
    if (known && known->left == 0)
        known->marked = true;
    lock_release(&sound->lock);
}

void disk_sound_mark(struct disk_sound *sound) {
    struct disk_file file;
    struct disk_identity identity;
    unsigned at = 0;
    for (unsigned done = 0; done < SOUND_MARKS && next_whole(sound, &at, &file, &identity);) {
        int result = disk_mark_set(sound->folder, &file, &identity);
        if (result == -EAGAIN)
            continue;
        set_marked(sound, &file, &identity); /* or it cannot be */
        stats_add(STAT_disk_marks, result == 0);
        done++;
    }
}
