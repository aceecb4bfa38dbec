// SPDX-License-Identifier: Apache-2.0
/* What was just published becomes the newest revision of its name, and what it replaces is retired (supersede.h). */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/put_private.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/mongo/supersede.h"
#include "fs/store/names.h"

enum { LOOKS_MOST = 16 };

/* Moves the new revision behind a date that would win, and to the spelling its name has. 1; 0 when it is not there any
 * more as it was: another put came after it, or it was renamed, which may have lifted it further. */
static int move(struct putting *putting, int64_t date, const char *spelling) {
    int64_t matched = 0;
    bson_t *filter = BCON_NEW("_id", BCON_OID(&putting->id), "filename", BCON_UTF8(putting->filename));
    bson_t *set = BCON_NEW("filename", BCON_UTF8(spelling ? spelling : putting->filename));
    if (date != putting->parts.date_ms) {
        BCON_APPEND(filter, "uploadDate", "{", "$lt", BCON_DATE_TIME(date), "}");
        BCON_APPEND(set, "uploadDate", BCON_DATE_TIME(date));
    }
    bson_t *update = BCON_NEW("$set", BCON_DOCUMENT(set));
    int result = bucket_update(putting->bucket, putting->bucket->files, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(set);
    bson_destroy(filter);
    return result ? result : matched > 0;
}

/* 1: it was moved, and others may have come meanwhile; 0: it is there. -ENOENT: it is not there as it was. */
static int move_to(struct putting *putting, int64_t date, const char *spelling, struct revision **revision) {
    int result = move(putting, date, spelling);
    if (result <= 0)
        return result < 0 ? result : -ENOENT;
    if (spelling) {
        char *filename = strdup(spelling);
        if (!filename)
            return -ENOMEM;
        free(putting->filename);
        putting->filename = filename;
        put_tell_parts(putting);
    }
    putting->parts.date_ms = date;
    struct revision *moved = NULL;
    bson_t document = BSON_INITIALIZER;
    result = put_as_revision(putting, &document, &moved);
    bson_destroy(&document);
    if (result)
        return result;
    revision_unref(*revision);
    *revision = moved;
    return 1;
}

/* Two that are lifted at the same pace would come to the same date each time. So each goes on by a step of its own, which
 * its _id gives, once lifting it to the next date was not enough. */
static int64_t own_step_ms(const struct putting *putting, int look) {
    return look > 0 ? putting->id.bytes[4 + look % 8] % 32 : 0;
}

/* The same; 0: it is the newest. */
static int settle(struct putting *putting, const struct others *others, int look, struct revision **revision) {
    int64_t date = others_date_needed(others);
    const char *spelling = others_spelling(others);
    if (date != putting->parts.date_ms)
        return move_to(putting, date + own_step_ms(putting, look), spelling, revision);
    return spelling ? move_to(putting, date, spelling, revision) : 0;
}

/* 1: it has the name now that the base has been given since it was looked for; 0: there is none, it was removed or replaced. */
static int follow_base(struct putting *putting, struct revision **revision) {
    bson_t *base = NULL;
    size_t size = 0;
    int result = put_read_base(putting, &base);
    const char *name = base ? document_filename(base, &size) : NULL;
    if (name && strcmp(name, putting->filename) == 0)
        result = 1; /* it has come back since */
    else if (name && names_is_path(name, size))
        result = move_to(putting, putting->parts.date_ms, name, revision);
    bson_destroy(base);
    return result;
}

/* Whether the file has the base's name now, and is what the base was. */
static bool is_base_newest(struct putting *putting, const char *name) {
    struct revision *newest = NULL;
    int result = bucket_newest(&putting->bucket->store, name + names_skip_spelling(name, strlen(name)), &newest);
    bool same = result == 0 && revision_same_content(newest, putting->put->base);
    revision_unref(newest);
    return same;
}

/* It was removed or replaced under a name that its file had left, or by its own base, which was renamed onto it: it is put
 * again where that is, while no janitor can have come to its chunks. 1; -ENOENT: the base is not what its name shows. */
static int put_again(struct putting *putting, struct revision **revision) {
    struct revision *again = NULL;
    bson_t *base = NULL, document = BSON_INITIALIZER;
    size_t size = 0;
    int result = putting->put->follow ? put_read_base(putting, &base) : 0;
    const char *name = base ? document_filename(base, &size) : NULL;
    char *filename = name && names_is_path(name, size) ? strndup(name, size) : NULL;
    bson_destroy(base);
    if (!filename || !is_base_newest(putting, filename) ||
        clock_now_ms() - putting->published_ms > RETIRE_LEAST_MS / 2)
        return free(filename), result ? result : -ENOENT;
    free(putting->filename);
    putting->filename = filename;
    put_tell_parts(putting);
    result = put_as_revision(putting, &document, &again);
    if (result == 0)
        result = bucket_insert(putting->bucket, putting->bucket->files, &document);
    bson_destroy(&document);
    if (result == 0 || result == -EEXIST) {
        revision_unref(*revision);
        *revision = steal_ptr(&again);
        return 1;
    }
    revision_unref(again);
    return result;
}

/* 1: it has another name or date by now; -ENOENT: it has gone. Who renames both renames the newer one first, so where it has
 * another name the base may still have the old one, and says nothing. */
static int follow_own(struct putting *putting, struct revision **revision) {
    cleanup_with(revision_unref) struct revision *there = NULL;
    bson_t *document = NULL;
    size_t size = 0;
    int result = put_read_own(putting, &document);
    if (result == 0 && !document)
        return put_again(putting, revision);
    const char *name = document ? document_filename(document, &size) : NULL;
    if (result == 0)
        result = name && names_is_path(name, size) ? document_revision(document, &putting->bucket->store, &there) : -ENOENT;
    char *filename = result == 0 ? strndup(name, size) : NULL;
    bson_destroy(document);
    if (!filename)
        return result ? result : -ENOMEM;
    putting->base_is_there &= strcmp(filename, putting->filename) == 0; /* or not to be followed */
    free(putting->filename);
    putting->filename = filename;
    putting->parts.date_ms = there->date_ms;
    put_tell_parts(putting);
    revision_unref(*revision);
    *revision = steal_ptr(&there);
    return 1;
}

static int look_at_others(struct putting *putting, int look, struct revision **revision) {
    cleanup_with(others_free) struct others *others = NULL;
    cleanup_with(revision_unref) struct revision *own = revision_ref(*revision);
    cleanup_free char *filename = strdup(putting->filename);
    int result = filename ? others_find(putting->bucket, own, filename, putting->put->base, &others) : -ENOMEM;
    if (result == 0 && putting->put->follow && putting->base_is_there && !others_have_base(others))
        result = follow_base(putting, revision);
    if (result == 0)
        result = settle(putting, others, look, revision);
    bool moved = others && (result == -ENOENT || (result == 0 && !others_have_own(others)));
    if (moved) /* and what it replaces is on its way, or left behind */
        result = follow_own(putting, revision);
    bool retires = !putting->put->restored && result == moved;
    if (retires && !others_retire(putting->bucket, others, moved) && !moved)
        return putting->put->follow; /* both may have another name since */
    return result;
}

void put_become_newest(struct putting *putting, struct revision **revision) {
    int result = 1;
    putting->published_ms = clock_now_ms();
    for (int look = 0; result > 0 && look < LOOKS_MOST; look++)
        result = look_at_others(putting, look, revision);
    if (result && result != -ENOENT)
        log_warning("'%s' in bucket %s is stored; whether another revision is newer could not be settled: %s",
                    putting->filename, putting->bucket->store.bucket,
                    result < 0 ? strerror(-result) : "others put it all the time");
}
