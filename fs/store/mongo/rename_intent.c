// SPDX-License-Identifier: Apache-2.0
/* Renames of many documents: the record of them, the exchange, and how others finish them. */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/mongo/rename.h"

/* ---- the record ---- */

int rename_intent_begin(struct bucket *bucket, const char *from, const char *to, const char *by,
                        struct rename_intent *ret_intent) {
    struct rename_intent intent = {.bucket = bucket};
    int64_t now;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    bson_oid_init(&intent.id, NULL);
    bson_oid_init(&intent.owner, NULL);
    intent.until_ms = now + RENAME_LEASE_MS;
    bson_t *record = BCON_NEW("_id", BCON_OID(&intent.id), "kind", by ? "exchange" : "rename", "from",
                              BCON_UTF8(from), "to", BCON_UTF8(to), "owner", BCON_OID(&intent.owner), "until",
                              BCON_DATE_TIME(intent.until_ms), "probe", "from/b");
    if (by)
        BCON_APPEND(record, "by", BCON_UTF8(by), "step", BCON_INT32(0));
    result = bucket_insert(bucket, bucket->intents, record);
    bson_destroy(record);
    if (result == 0)
        *ret_intent = intent;
    return result;
}

/* Takes what is to be set. */
static int update_record(struct rename_intent *intent, bson_t *set) {
    int64_t matched = 0;
    bson_t *filter = BCON_NEW("_id", BCON_OID(&intent->id), "owner", BCON_OID(&intent->owner));
    bson_t *update = BCON_NEW("$set", BCON_DOCUMENT(set));
    int result = bucket_update(intent->bucket, intent->bucket->intents, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(filter);
    bson_destroy(set);
    if (result == 0 && !matched)
        result = (log_error("a rename was without contact for so long that another host finishes it"), -ETIMEDOUT);
    return result;
}

int rename_intent_keep(struct rename_intent *intent) {
    int64_t now;
    int result = bucket_now_ms(intent->bucket, &now);
    if (result || intent->until_ms - now > RENAME_LEASE_MS / 2)
        return result;
    result = update_record(intent, BCON_NEW("until", BCON_DATE_TIME(now + RENAME_LEASE_MS)));
    if (result == 0)
        intent->until_ms = now + RENAME_LEASE_MS;
    return result;
}

int rename_intent_step(struct rename_intent *intent, int step) {
    return update_record(intent, BCON_NEW("step", BCON_INT32(step)));
}

void rename_intent_end(struct rename_intent *intent) {
    bson_t *filter = BCON_NEW("_id", BCON_OID(&intent->id), "owner", BCON_OID(&intent->owner));
    if (bucket_delete(intent->bucket, intent->bucket->intents, filter, false, NULL))
        log_debug("the record of a rename that is done stays until it expires");
    bson_destroy(filter);
}

/* ---- exchange ---- */

/* The file itself, in all spellings: what is moved to is free, so no date has to change. */
static int move_file(struct bucket *bucket, const char *from, const char *to) {
    struct revision *revision;
    int result = bucket_newest(&bucket->store, from, &revision);
    if (result == -ENOENT)
        return 0;
    if (result)
        return result;
    const struct store_object object = {.path = from, .kind = STORE_FILE, .revision = revision};
    result = links_rename(bucket, &object, to); /* of a further name, that is all */
    revision_unref(revision);
    if (result)
        return result < 0 ? result : 0;
    bson_t *filter = presence_spellings(from);
    bson_t *update = BCON_NEW("$set", "{", "filename", BCON_UTF8(to), "}");
    result = filter ? bucket_update(bucket, bucket->files, filter, update, true, false, NULL) : -ENOMEM;
    bson_destroy(update);
    bson_destroy(filter);
    return result;
}

/* Whatever there is. A node that has further names is found by them. */
static int move_anything(struct rename_intent *intent, const char *from, const char *to) {
    const struct store_object node = {.path = from, .kind = STORE_SYMLINK};
    int result = move_file(intent->bucket, from, to);
    if (result == 0)
        result = links_rename(intent->bucket, &node, to);
    return result < 0 ? result : rename_tree(intent, from, to);
}

static int exchange_from(struct rename_intent *intent, const char *from, const char *to, const char *by, int step) {
    const struct {
        const char *from, *to;
    } moves[] = {{from, by}, {to, from}, {by, to}};
    enum { MOVES = sizeof moves / sizeof *moves };
    int result = 0;
    for (; result == 0 && step < MOVES; step++) {
        result = move_anything(intent, moves[step].from, moves[step].to);
        if (result == 0 && step + 1 < MOVES)
            result = rename_intent_step(intent, step + 1);
    }
    return result;
}

static int check_there(struct bucket *bucket, const char *path) {
    struct store_entry entry;
    int result = bucket_lookup(&bucket->store, path, NULL, &entry);
    if (result == 0)
        store_entry_done(&entry);
    return result;
}

int rename_exchange(struct bucket *bucket, const char *from, const char *to) {
    struct rename_intent intent;
    bson_oid_t unique;
    char text[25];
    cleanup_free char *by = NULL;
    const char *slash = strrchr(from, '/');
    int parent = slash ? (int)(slash + 1 - from) : 0;
    bson_oid_init(&unique, NULL);
    bson_oid_to_string(&unique, text);
    if (asprintf(&by, "%.*s.exchange-%s", parent, from, text) < 0)
        return -ENOMEM;
    int result = check_there(bucket, from);
    if (result == 0)
        result = check_there(bucket, to);
    if (result == 0)
        result = rename_intent_begin(bucket, from, to, by, &intent);
    if (result)
        return result;
    result = exchange_from(&intent, from, to, by, 0);
    if (result == 0)
        rename_intent_end(&intent);
    return result;
}

/* ---- what others began ---- */

struct expired {
    struct rename_intent intent;
    char *from, *to, *by;
    int64_t step;
    bool there;
};

static char *copy_text(const bson_t *document, const char *field) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, field) && BSON_ITER_HOLDS_UTF8(&iter)
               ? strdup(bson_iter_utf8(&iter, NULL)) : NULL;
}

static int take_expired(void *context, const bson_t *document) {
    struct expired *expired = context;
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, "_id") || !BSON_ITER_HOLDS_OID(&iter))
        return 0;
    expired->intent.id = *bson_iter_oid(&iter);
    expired->from = copy_text(document, "from");
    expired->to = copy_text(document, "to");
    expired->by = copy_text(document, "by");
    if (bson_iter_init_find(&iter, document, "step") && !document_whole_number(&iter, 0, INT32_MAX, &expired->step))
        expired->step = -1;
    expired->there = true;
    return 1;
}

/* Its owner, should it live, sees by the record that it is not its any more. */
static int claim_expired(struct bucket *bucket, struct expired *expired) {
    int64_t now, matched = 0;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    bson_t *filter = BCON_NEW("kind", "{", "$in", "[", "rename", "exchange", "]", "}", "until", "{", "$lt",
                              BCON_DATE_TIME(now), "}", "_id", "{", "$type", "objectId", "}");
    bson_t *options = BCON_NEW("limit", BCON_INT64(1));
    result = bucket_find(bucket, bucket->intents, filter, options, take_expired, expired);
    bson_destroy(options);
    bson_destroy(filter);
    if (result > 0) {
        expired->intent.bucket = bucket;
        expired->intent.until_ms = now + RENAME_LEASE_MS;
        bson_oid_init(&expired->intent.owner, NULL);
        filter = BCON_NEW("_id", BCON_OID(&expired->intent.id), "until", "{", "$lt", BCON_DATE_TIME(now), "}");
        bson_t *update = BCON_NEW("$set", "{", "owner", BCON_OID(&expired->intent.owner), "until",
                                  BCON_DATE_TIME(expired->intent.until_ms), "probe", "from/b", "}");
        result = bucket_update(bucket, bucket->intents, filter, update, false, false, &matched);
        bson_destroy(update);
        bson_destroy(filter);
        expired->there = matched > 0;
    }
    return result < 0 ? result : 0;
}

static bool is_below(const char *path, const char *directory) {
    size_t size = strlen(directory);
    return strncmp(path, directory, size) == 0 && (path[size] == '/' || !path[size]);
}

/* Others can write there too: no mount moves a directory into itself, which might have no end. */
static bool is_sound(const struct expired *expired) {
    const char *paths[] = {expired->from, expired->to, expired->by};
    for (unsigned i = 0; i < 3; i++) {
        if (paths[i] ? presence_check_path(paths[i]) != 0 : i < 2)
            return false;
        for (unsigned other = 0; paths[i] && other < i; other++)
            if (is_below(paths[i], paths[other]) || is_below(paths[other], paths[i]))
                return false;
    }
    return expired->step >= 0 && expired->step < 3;
}

static int finish(struct expired *expired) {
    struct rename_intent *intent = &expired->intent;
    bool sound = is_sound(expired);
    log_warning("finishing a rename of '%s' to '%s' that another mount began", sound ? expired->from : "?",
                sound ? expired->to : "?");
    int result = 0;
    if (sound && expired->by)
        result = exchange_from(intent, expired->from, expired->to, expired->by, (int)expired->step);
    else if (sound)
        result = rename_tree(intent, expired->from, expired->to);
    if (result == 0)
        rename_intent_end(intent);
    return result;
}

int rename_recover(struct bucket *bucket, int64_t end_ms) {
    int result = 0;
    while (result == 0 && clock_now_ms() < end_ms) {
        struct expired expired = {0};
        result = claim_expired(bucket, &expired);
        bool there = expired.there;
        if (result == 0 && there)
            result = finish(&expired);
        free(expired.from);
        free(expired.to);
        free(expired.by);
        if (!there)
            break;
    }
    return result;
}
