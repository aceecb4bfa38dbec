// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/array.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/ordered.h"
#include "fs/store/mongo/posix.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/mongo/remove.h"
#include "fs/store/mongo/rename.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/mongo/revisions.h"

enum { TRIES = 8 };

struct renaming {
    struct bucket *bucket;
    const char *from, *to;
    int64_t ctime_ns; /* see struct store_object */
    bool bare; /* nothing is hidden at `from` */
    const struct store_object *target;
    const struct revision *ahead; /* it has the new name already, or may have it; or NULL */
    struct revision *tried;       /* to be moved before, when it had gone; or NULL */
    struct revisions *found;      /* of both names */
    const struct found_revision *own, *replaced;
};

static bool same_id(const struct revision *one, const struct revision *other) {
    return one->id_size == other->id_size && memcmp(one->id, other->id, one->id_size) == 0;
}

/* A newer revision of the same file, whichever was lifted since: it was open when it was renamed, and what was written to it
 * has followed. */
static bool is_successor(const struct revision *one, const struct revision *other) {
    const struct attributes *new = &one->attributes, *old = &other->attributes;
    return new->has & old->has & ATTRIBUTES_FILE && memcmp(new->file, old->file, sizeof new->file) == 0 &&
           one->content_date_ms > other->content_date_ms;
}

/* Without a question. What an application put over a file with several names says nothing of them. */
static bool may_have_several_names(const struct renaming *renaming, const struct revision *revision) {
    const struct attributes *attributes = &revision->attributes;
    bool unsaid = !(attributes->has & ATTRIBUTES_FILE) && atomic_load(&renaming->bucket->changing.hard_links);
    return unsaid || (attributes->has & ATTRIBUTES_LINKS && attributes->links > 1);
}

/* Whether `to` is a further name of the very file: then nothing is done, as POSIX has it. */
static int is_same_file(const struct renaming *renaming) {
    cleanup_with(revision_unref) struct revision *there = NULL;
    bool by_link = renaming->target && renaming->target->kind == STORE_FILE && !renaming->replaced;
    if (!by_link || !may_have_several_names(renaming, renaming->own->revision))
        return 0;
    int result = bucket_newest(&renaming->bucket->store, renaming->to, &there);
    return result == -ENOENT ? 0 : result ? result : same_id(there, renaming->own->revision);
}

/* ---- the newest ---- */

/* The date with which it is newer than another for all who ask, drivers of GridFS too, which know of nothing but dates; its
 * own, if that is. */
static int64_t date_over(const struct revision *own, const struct revision *other) {
    if (!other || own->date_ms > other->date_ms)
        return own->date_ms;
    return other->date_ms == INT64_MIN ? 0 : other->date_ms == INT64_MAX ? INT64_MAX : other->date_ms + 1;
}

/* What it is set: with the time of the change, where metadata.posix is a gridmount's. */
static bson_t *new_name(const struct renaming *renaming, const struct revision *revision) {
    bson_t *set = BCON_NEW("filename", BCON_UTF8(renaming->to));
    if (renaming->ctime_ns && revision->posix != POSIX_OTHER)
        BSON_APPEND_INT64(set, "metadata.posix.ctime_ns", renaming->ctime_ns);
    return set;
}

/* 1; 0 when the revision is not there any more as it was seen, or was lifted further: no date is ever set back. */
static int move(const struct renaming *renaming, const struct found_revision *each, int64_t date) {
    const struct revision *own = each->revision;
    int64_t matched = 0;
    bson_t id, filter = BSON_INITIALIZER;
    if (!bson_init_static(&id, own->id, own->id_size))
        return -EIO;
    bucket_match_id(&filter, "_id", &id);
    BSON_APPEND_UTF8(&filter, "filename", each->filename);
    bson_t *update, *set = new_name(renaming, own);
    int result;
    if (date == own->date_ms) {
        update = BCON_NEW("$set", BCON_DOCUMENT(set));
        result = bucket_update(renaming->bucket, renaming->bucket->files, &filter, update, false, false, &matched);
    } else {
        BCON_APPEND(&filter, "uploadDate", "{", "$not", "{", "$gte", BCON_DATE_TIME(date), "}", "}");
        BCON_APPEND(set, "uploadDate", BCON_DATE_TIME(date), "metadata.posix.lift", "{", "from",
                    BCON_DATE_TIME(own->content_date_ms), "to", BCON_DATE_TIME(date), "}");
        update = BCON_NEW("$set", BCON_DOCUMENT(set));
        result = posix_update(renaming->bucket, own, &filter, update, &matched);
    }
    bson_destroy(update);
    bson_destroy(set);
    bson_destroy(&filter);
    return result ? result : matched > 0;
}

static int move_newest(const struct renaming *renaming) {
    const struct revision *replaced = renaming->replaced ? renaming->replaced->revision : NULL;
    return move(renaming, renaming->own, date_over(renaming->own->revision, replaced));
}

/* ---- what follows ---- */

/* What was put under the old name meanwhile is newer, and stays. */
static int move_older(const struct renaming *renaming) {
    int64_t newest = renaming->own->revision->date_ms;
    uint32_t own = 0;
    for (uint32_t i = 0; i < renaming->found->count; i++)
        own += !renaming->found->list[i].of_other;
    if (own < 2 && !renaming->found->more)
        return 0;
    bson_t *filter = presence_spellings(renaming->from);
    if (!filter)
        return -ENOMEM;
    if (newest != INT64_MIN)
        BCON_APPEND(filter, "uploadDate", "{", "$not", "{", "$gt", BCON_DATE_TIME(newest), "}", "}");
    bson_t *update = BCON_NEW("$set", "{", "filename", BCON_UTF8(renaming->to), "}");
    int result = bucket_update(renaming->bucket, renaming->bucket->files, filter, update, true, false, NULL);
    bson_destroy(update);
    bson_destroy(filter);
    return result;
}

static bool is_retired(const struct renaming *renaming, const struct revision *each) {
    switch (renaming->bucket->policy.revisions) {
    case SERVER_REVISIONS_OWN:
        return each->posix == POSIX_OWN;
    case SERVER_REVISIONS_REPLACE:
        return each->posix == POSIX_OWN || (renaming->replaced && same_id(each, renaming->replaced->revision));
    case SERVER_REVISIONS_KEEP:
        break;
    }
    return false;
}

static bool has_own(const struct renaming *renaming, const struct revisions *found) {
    for (uint32_t i = 0; i < found->count; i++)
        if (same_id(found->list[i].revision, renaming->own->revision))
            return true;
    return false;
}

/* It had the new name before, and is replaced even if an application put it with the other's identity. */
static bool was_there(const struct renaming *renaming, const struct revision *revision) {
    bool there = false;
    for (uint32_t i = 0; i < renaming->found->count; i++)
        there |= renaming->found->list[i].of_other && same_id(renaming->found->list[i].revision, revision);
    return there;
}

/* What came after is no older revision of it, whatever the dates say; and what has further names lives on under those. */
static bool goes(const struct renaming *renaming, const struct revision *each) {
    const struct revision *own = renaming->own->revision;
    bool followed = is_successor(each, own) && !was_there(renaming, each);
    bool named = same_id(each, own) && may_have_several_names(renaming, each);
    return !followed && !named && is_retired(renaming, each);
}

/* All but the newest: that is another one when others put or renamed onto the name too. As after a put (supersede.h), whoever
 * comes to it then looks. */
static int retire_replaced(const struct renaming *renaming) {
    cleanup_with(revisions_free) struct revisions *found = NULL;
    int result = revisions_find(renaming->bucket, renaming->to, NULL, REVISIONS_NEWEST, &found);
    const struct found_revision *newest = result ? NULL : revisions_newest(found, false);
    if (result || !has_own(renaming, found)) /* renamed on, or removed */
        return result;
    for (uint32_t i = found->count; result == 0 && i-- > 0;) {
        const struct found_revision *each = &found->list[i];
        if (each == newest || !goes(renaming, each->revision))
            continue;
        result = retire_document(renaming->bucket, each->document, NULL);
        if (result == 0)
            stats_add(STAT_revisions_retired, 1);
    }
    return result;
}

/* A replaced file that has further names lives on under one of them; what is no file had been in its shadow. */
static int leave_target(const struct renaming *renaming) {
    const struct store_object there = {.path = renaming->to, .ctime_ns = renaming->ctime_ns};
    if (!renaming->replaced)
        return renaming->target ? remove_node(renaming->bucket, &there) : 0;
    if (!may_have_several_names(renaming, renaming->replaced->revision))
        return 0;
    const struct store_object replaced = {.path = renaming->to,
                                          .kind = STORE_FILE,
                                          .revision = renaming->replaced->revision,
                                          .ctime_ns = renaming->ctime_ns};
    return links_remove(renaming->bucket, &replaced);
}

static int follow(const struct renaming *renaming) {
    int left = leave_target(renaming);
    int result = move_older(renaming);
    if (result == 0 && left == 0 && renaming->replaced)
        result = retire_replaced(renaming);
    if (result || left < 0) /* its content is there: no error of the rename */
        log_warning("'%s' was renamed; what was there, or older revisions, may have stayed", renaming->to);
    return 0;
}

/* ---- at once ---- */

/* Only while it has this name in its common spelling, and no other name. */
static bson_t *filter_of_seen(const struct revision *seen, const char *from) {
    bson_t id, *filter = bson_new();
    CHECK(bson_init_static(&id, seen->id, seen->id_size));
    bucket_match_id(filter, "_id", &id);
    BCON_APPEND(filter, "filename", BCON_UTF8(from), "metadata.posix.links", "{", "$not", "{", "$gt", BCON_INT32(1),
                "}", "}");
    return filter;
}

/* All that has either name: at least the renamed one, once it is. (To leave it out here costs servers more.) */
static bson_t *filter_of_all(const struct renaming *renaming) {
    bson_t part, names, *filter = bson_new();
    unsigned count = 0;
    bson_append_document_begin(filter, "filename", -1, &part);
    array_begin(&part, "$in", &names);
    presence_append_spellings(&names, renaming->from, &count);
    presence_append_spellings(&names, renaming->to, &count);
    bson_append_array_end(&part, &names);
    bson_append_document_end(filter, &part);
    return filter;
}

/* What was last seen gets the name, and what else has either name is counted, by one command. 1: nothing has. 0: the
 * rest is to be done; *ret_moved: it has the name. */
static int move_seen(struct renaming *renaming, const struct revision *seen, bool *ret_moved) {
    struct bucket *bucket = renaming->bucket;
    struct ordered ordered;
    int64_t counts[ORDERED_MOST] = {0};
    if (!ordered_begin(bucket, &ordered))
        return 0;
    bson_t *filter = filter_of_seen(seen, renaming->from), *all = filter_of_all(renaming);
    bson_t *set = new_name(renaming, seen), *update = BCON_NEW("$set", BCON_DOCUMENT(set));
    ordered_update(&ordered, bucket->files, filter, update);
    ordered_count(&ordered, bucket->files, all);
    int result = ordered_end(&ordered, counts);
    *ret_moved = result == 0 && counts[0] == 1;
    if (result > 0 || *ret_moved)
        renaming->ahead = seen;
    bson_destroy(update);
    bson_destroy(set);
    bson_destroy(all);
    bson_destroy(filter);
    return result < 0 ? result : *ret_moved && counts[1] == 1;
}

/* A lookup of it a moment ago saw only the file. */
static bool is_bare(struct bucket *bucket, const char *path) {
    bson_t *seen = recents_take(&bucket->recents, path);
    bson_destroy(seen);
    return seen;
}

/* ---- all of it ---- */

/* Whether it belongs to what moves, though it has the new name: whoever put it has followed there first. */
static bool has_followed(const struct renaming *renaming, const struct revision *moves, const struct revision *each) {
    return (renaming->tried && same_id(each, renaming->tried)) ||
           (moves && (same_id(each, moves) || is_successor(each, moves)));
}

static int look(struct renaming *renaming) {
    revision_unref(renaming->tried);
    renaming->tried = renaming->own ? revision_ref(renaming->own->revision) : NULL;
    renaming->own = NULL;
    renaming->found = revisions_free(renaming->found);
    int result = revisions_find(renaming->bucket, renaming->from, renaming->to, REVISIONS_NEWEST, &renaming->found);
    if (result)
        return result;
    renaming->own = revisions_newest(renaming->found, false);
    const struct revision *moves = renaming->ahead; /* onto a free name: then neither it nor what was put over it is replaced */
    if (!moves && renaming->own && !renaming->target)
        moves = renaming->own->revision;
    for (uint32_t i = 0; i < renaming->found->count; i++)
        renaming->found->list[i].of_other &= !has_followed(renaming, moves, renaming->found->list[i].revision);
    renaming->own = revisions_newest(renaming->found, false);
    renaming->replaced = revisions_newest(renaming->found, true);
    if (!renaming->own && renaming->found->more) { /* the other has that many which are newer */
        log_error("'%s' has too many revisions to be replaced by a rename", renaming->to);
        return -EIO;
    }
    return renaming->own ? 0 : -ENOENT;
}

/* Before the newest moves: what it hides would come to light at its old name, and what lost its name to it goes with it. 1:
 * some of that was found, and moved away. */
static int rescue(const struct renaming *renaming, const char *path, bool of_other, const struct found_revision *newest) {
    const struct revision *list[REVISIONS_MOST];
    uint32_t count = 0;
    for (uint32_t i = 0; newest && i < renaming->found->count; i++)
        if (renaming->found->list[i].of_other == of_other)
            list[count++] = renaming->found->list[i].revision;
    return count > 1 ? links_rescue(renaming->bucket, path, list, count, newest->revision) : 0;
}

static int uncover(const struct renaming *renaming) {
    int result = renaming->bare ? 0 : remove_hidden(renaming->bucket, renaming->from);
    if (result == 0 && renaming->replaced && may_have_several_names(renaming, renaming->replaced->revision))
        result = remove_hidden(renaming->bucket, renaming->to);
    if (result == 0)
        result = rescue(renaming, renaming->from, false, renaming->own);
    if (result == 0)
        result = rescue(renaming, renaming->to, true, renaming->replaced);
    return result;
}

/* What further names of the replaced file stand for must be told apart from what comes to its name. */
static int tell_apart(const struct renaming *renaming, const struct store_object *own) {
    cleanup_with(revision_unref) struct revision *adopted = NULL, *identified = NULL;
    struct attributes identity = {.has = 0};
    if (!renaming->replaced || !may_have_several_names(renaming, renaming->replaced->revision))
        return 0;
    int result = links_adopt(renaming->bucket, renaming->replaced->revision, &adopted);
    bool named = adopted || renaming->replaced->revision->attributes.has & ATTRIBUTES_FILE;
    if (result < 0 || !named || own->revision->attributes.has & ATTRIBUTES_FILE)
        return result;
    attributes_new_file(&identity);
    return bucket_set_attributes(&renaming->bucket->store, own, &identity, &identified);
}

/* 1: done; 0: not any more as it was seen. */
static int try(struct renaming *renaming) {
    int result = look(renaming);
    if (result == 0)
        result = is_same_file(renaming);
    if (result)
        return result;
    const struct store_object own = {.path = renaming->from,
                                     .kind = STORE_FILE,
                                     .revision = renaming->own->revision,
                                     .ctime_ns = renaming->ctime_ns};
    result = uncover(renaming);
    if (result)
        return result < 0 ? result : 0;
    if (may_have_several_names(renaming, own.revision))
        result = links_rename(renaming->bucket, &own, renaming->to);
    if (result >= 0)
        result = tell_apart(renaming, &own);
    if (result >= 0)
        result = move_newest(renaming);
    if (result > 0)
        result = follow(renaming) == 0;
    return result;
}

int rename_file(struct bucket *bucket, const struct store_object *from, const char *to,
                const struct store_object *target) {
    const struct revision *seen = from->revision;
    struct renaming renaming = {
        .bucket = bucket, .from = from->path, .to = to, .ctime_ns = from->ctime_ns, .target = target};
    bool moved = false;
    bool simple = seen && !target && !may_have_several_names(&renaming, seen);
    renaming.bare = is_bare(bucket, from->path);
    int result = simple && !renaming.bare ? remove_may_hide(bucket, from->path) : 0;
    if (simple && result == 0)
        result = move_seen(&renaming, seen, &moved);
    else if (result > 0)
        result = 0;
    for (int i = 0; result == 0 && i < TRIES; i++)
        result = try(&renaming);
    revisions_free(renaming.found);
    revision_unref(renaming.tried);
    if (result == -ENOENT && moved) /* and was taken away by others since */
        return 0;
    if (result == 0)
        log_error("'%s' is changed by others all the time", from->path);
    return result < 0 ? result : result ? 0 : -EIO;
}
