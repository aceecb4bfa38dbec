// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/unstored.h"

#include <errno.h>
#include <string.h>

#include "cache/base/wire.h"
#include "fs/store/names.h"

/* ---- encoding ---- */

static void put_text(struct wire_writer *writer, const char *text) {
    size_t size = strlen(text);
    wire_put_32(writer, (uint32_t)size);
    wire_put(writer, text, size);
}

static void put_attributes(struct wire_writer *writer, const struct attributes *attributes) {
    wire_put_32(writer, attributes->has);
    wire_put_32(writer, attributes->mode);
    wire_put_32(writer, attributes->uid);
    wire_put_32(writer, attributes->gid);
    wire_put_32(writer, attributes->device);
    wire_put_32(writer, attributes->links);
    wire_put_64(writer, (uint64_t)attributes->atime_ns);
    wire_put_64(writer, (uint64_t)attributes->mtime_ns);
    wire_put_64(writer, (uint64_t)attributes->ctime_ns);
    wire_put(writer, attributes->file, sizeof attributes->file);
}

static void put_revision(struct wire_writer *writer, const struct revision *revision) {
    wire_put_32(writer, revision != NULL);
    if (!revision)
        return;
    wire_put_32(writer, revision->id_size);
    wire_put(writer, revision->id, revision->id_size);
    wire_put(writer, revision->key, sizeof revision->key);
    wire_put_64(writer, (uint64_t)revision->length);
    wire_put_64(writer, (uint64_t)revision->date_ms);
    wire_put_64(writer, (uint64_t)revision->content_date_ms);
    wire_put_32(writer, revision->chunk_size);
    wire_put_32(writer, revision->damage != NULL);
    wire_put_32(writer, revision->posix);
    put_attributes(writer, &revision->attributes);
    wire_put_32(writer, revision->hole_count);
    for (uint32_t i = 0; i < revision->hole_count; i++) {
        wire_put_64(writer, (uint64_t)revision->holes[i].offset);
        wire_put_64(writer, (uint64_t)revision->holes[i].length);
    }
}

static void put_marks(struct wire_writer *writer, const struct marks *marks) {
    for (unsigned i = 0; i < marks->count; i++) {
        wire_put_64(writer, (uint64_t)marks->list[i].length);
        wire_put_64(writer, (uint64_t)marks->list[i].mtime_ns);
        wire_put_64(writer, (uint64_t)marks->list[i].ctime_ns);
    }
}

static void put_all(struct wire_writer *writer, const struct unstored *unstored) {
    put_text(writer, unstored->bucket);
    put_text(writer, unstored->path);
    wire_put_64(writer, (uint64_t)unstored->failed_ms);
    put_attributes(writer, &unstored->attributes);
    wire_put(writer, unstored->beside, sizeof unstored->beside);
    put_revision(writer, unstored->base);
    put_revision(writer, unstored->under);
    put_marks(writer, &unstored->unheard);
}

int unstored_encode(const struct unstored *unstored, void **ret_bytes, size_t *ret_size) {
    struct wire_writer writer = {0};
    put_all(&writer, unstored);
    unsigned char *bytes = malloc(writer.size);
    if (!bytes)
        return -ENOMEM;
    *ret_size = writer.size;
    writer = (struct wire_writer){.bytes = bytes};
    put_all(&writer, unstored);
    *ret_bytes = bytes;
    return 0;
}

/* ---- decoding ---- */

static int get_text(struct wire_reader *reader, char **ret_text) {
    uint32_t size = wire_get_32(reader);
    const char *bytes = wire_take(reader, size);
    if (!bytes || memchr(bytes, '\0', size))
        return -EBADMSG;
    *ret_text = strndup(bytes, size);
    return *ret_text ? 0 : -ENOMEM;
}

static void get_attributes(struct wire_reader *reader, struct attributes *ret_attributes) {
    unsigned char file[ATTRIBUTES_FILE_SIZE];
    struct attributes attributes = {0};
    unsigned has = wire_get_32(reader) & (2 * ATTRIBUTES_LINKS - 1);
    attributes.mode = wire_get_32(reader) & 07777;
    attributes.uid = wire_get_32(reader);
    attributes.gid = wire_get_32(reader);
    attributes.device = wire_get_32(reader);
    attributes.links = wire_get_32(reader);
    attributes.atime_ns = (int64_t)wire_get_64(reader);
    attributes.mtime_ns = (int64_t)wire_get_64(reader);
    attributes.ctime_ns = (int64_t)wire_get_64(reader);
    wire_get(reader, file, sizeof file);
    if (has & ATTRIBUTES_FILE)
        attributes_set_file(&attributes, file);
    attributes.has = has;
    *ret_attributes = attributes;
}

/* In order, apart, within the length. */
static int get_holes(struct wire_reader *reader, struct revision *revision) {
    uint32_t count = wire_get_32(reader);
    int64_t end = -1;
    if (count > REVISION_HOLES_MOST)
        return -EBADMSG;
    revision->holes = count ? calloc(count, sizeof *revision->holes) : NULL;
    if (count && !revision->holes)
        return -ENOMEM;
    revision->hole_count = count;
    for (uint32_t i = 0; i < count; i++) {
        int64_t offset = (int64_t)wire_get_64(reader), length = (int64_t)wire_get_64(reader);
        if (offset <= end || length <= 0 || offset > revision->length || length > revision->length - offset)
            return -EBADMSG;
        revision->holes[i] = (struct hole){.offset = offset, .length = length};
        end = offset + length;
    }
    return 0;
}

static bool is_sound(const struct revision *revision) {
    if (revision->damage)
        return revision->length == 0;
    return revision->length >= 0 && revision->chunk_size > 0 && revision->chunk_size <= INT32_MAX &&
           revision->length / revision->chunk_size < INT32_MAX;
}

static int get_revision(struct wire_reader *reader, struct revision **ret_revision) {
    uint32_t there = wire_get_32(reader), id_size = there == 1 ? wire_get_32(reader) : 0;
    const void *id = wire_take(reader, id_size);
    if (there == 0)
        return 0;
    if (there != 1 || !id || !id_size)
        return -EBADMSG;
    cleanup_with(revision_unref) struct revision *revision = revision_new(id, id_size);
    if (!revision)
        return -ENOMEM;
    wire_get(reader, revision->key, sizeof revision->key);
    revision->length = (int64_t)wire_get_64(reader);
    revision->date_ms = (int64_t)wire_get_64(reader);
    revision->content_date_ms = (int64_t)wire_get_64(reader);
    revision->chunk_size = wire_get_32(reader);
    revision->damage = wire_get_32(reader) ? "it could not be read when it was written to" : NULL;
    uint32_t posix = wire_get_32(reader);
    get_attributes(reader, &revision->attributes);
    if (posix > POSIX_OWN || !is_sound(revision))
        return -EBADMSG;
    revision->posix = posix;
    int result = get_holes(reader, revision);
    if (result == 0)
        *ret_revision = steal_ptr(&revision);
    return result;
}

static void get_marks(struct wire_reader *reader, struct marks *marks) {
    while (reader->left && marks->count < MARKS_MOST) {
        struct mark *mark = &marks->list[marks->count++];
        mark->length = (int64_t)wire_get_64(reader);
        mark->mtime_ns = (int64_t)wire_get_64(reader);
        mark->ctime_ns = (int64_t)wire_get_64(reader);
    }
}

static int get_all(struct wire_reader *reader, struct unstored *unstored) {
    int result = get_text(reader, &unstored->bucket);
    if (result == 0)
        result = get_text(reader, &unstored->path);
    if (result)
        return result;
    unstored->failed_ms = (int64_t)wire_get_64(reader);
    get_attributes(reader, &unstored->attributes);
    wire_get(reader, unstored->beside, sizeof unstored->beside);
    result = get_revision(reader, &unstored->base);
    if (result == 0)
        result = get_revision(reader, &unstored->under);
    if (result == 0)
        get_marks(reader, &unstored->unheard);
    bool whole = !reader->short_of && reader->left == 0;
    bool named = *unstored->bucket && names_is_path(unstored->path, strlen(unstored->path)) &&
                 names_skip_spelling(unstored->path, strlen(unstored->path)) == 0;
    bool identified = unstored->attributes.has & ATTRIBUTES_FILE;
    return result ? result : whole && named && identified ? 0 : -EBADMSG;
}

int unstored_decode(const void *bytes, size_t size, struct unstored *ret_unstored) {
    struct wire_reader reader = {.bytes = bytes, .left = size};
    struct unstored unstored = {0};
    int result = get_all(&reader, &unstored);
    if (result)
        unstored_done(&unstored);
    else
        *ret_unstored = unstored;
    return result;
}

void unstored_done(struct unstored *unstored) {
    free(unstored->bucket);
    free(unstored->path);
    revision_unref(unstored->base);
    revision_unref(unstored->under);
    *unstored = (struct unstored){0};
}
