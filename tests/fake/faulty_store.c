// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/faulty_store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/check.h"

/* 0, or the error that is planned for this time. */
static int follow(struct faulty_plan *plan) {
    unsigned left = atomic_load(&plan->countdown);
    while (left && !atomic_compare_exchange_weak(&plan->countdown, &left, left - 1))
        ;
    return left == 1 ? atomic_load(&plan->error) : 0;
}

/* Whether this call has the fault. Any sequence will do: that of splitmix64. */
static bool happens(struct faulty_store *faulty, enum faulty_fault fault) {
    unsigned odds = atomic_load(&faulty->odds[fault]);
    if (!odds)
        return false;
    uint64_t number = atomic_fetch_add(&faulty->dice, UINT64_C(0x9e3779b97f4a7c15));
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return (number ^ number >> 31) % 1000 < odds;
}

/* Counts a call, waits at its gate; 0, or the error that it was told. */
static int pass(struct faulty_store *faulty, enum faulty_call call) {
    atomic_fetch_add(&faulty->calls[call], 1);
    gate_pass(&faulty->gates[call]);
    if (happens(faulty, FAULTY_DELAYED))
        (void)usleep(100);
    return atomic_load(&faulty->away) || happens(faulty, FAULTY_BEFORE) ? -ETIMEDOUT : follow(&faulty->before[call]);
}

/* What is said of a change that was made, or not. */
static int answer(struct faulty_store *faulty, enum faulty_call call, int result) {
    if (result == 0 && happens(faulty, FAULTY_AFTER))
        return -ETIMEDOUT;
    return result ? result : follow(&faulty->after[call]);
}

static struct faulty_store *faulty_of(struct store *store) {
    return (struct faulty_store *)store;
}

/* A revision comes as a new object that nobody else has yet. */
static void adopt(struct faulty_store *faulty, struct revision *revision) {
    if (revision)
        revision->store = &faulty->store;
}

static int lookup(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_LOOKUP);
    struct store_entry first = {0};
    if (result == 0 && happens(faulty, FAULTY_TWICE) &&
        faulty->behind->ops->lookup(faulty->behind, path, witness, &first) == 0)
        store_entry_done(&first);
    if (result == 0)
        result = faulty->behind->ops->lookup(faulty->behind, path, witness, ret_entry);
    if (result == 0)
        adopt(faulty, ret_entry->revision);
    return result;
}

static int newest(struct store *store, const char *path, struct revision **ret_revision) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_NEWEST);
    if (result == 0)
        result = faulty->behind->ops->newest(faulty->behind, path, ret_revision);
    if (result == 0)
        adopt(faulty, *ret_revision);
    return result;
}

static int by_id(struct store *store, const char *text, struct revision **ret_revision) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_BY_ID);
    if (result == 0)
        result = faulty->behind->ops->by_id(faulty->behind, text, ret_revision);
    if (result == 0)
        adopt(faulty, *ret_revision);
    return result;
}

static int history(struct store *store, const char *path, const char *id, uint32_t most, struct store_past **ret_list,
                   uint32_t *ret_count) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_HISTORY);
    if (result == 0)
        result = faulty->behind->ops->history(faulty->behind, path, id, most, ret_list, ret_count);
    for (uint32_t i = 0; result == 0 && i < *ret_count; i++)
        adopt(faulty, (*ret_list)[i].revision);
    return result;
}

static int is_retired(struct store *store, const char *path) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_IS_RETIRED);
    return result ? result : faulty->behind->ops->is_retired(faulty->behind, path);
}

static int survey(struct store *store) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_SURVEY);
    return result ? result : faulty->behind->ops->survey(faulty->behind);
}

struct store_list {
    struct faulty_store *faulty;
    struct store_list *behind;
};

static int list_open(struct store *store, const char *path, const char *after, struct store_list **ret_list) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_LIST_OPEN);
    if (result)
        return result;
    struct store_list *list = calloc(1, sizeof *list);
    if (!list)
        return -ENOMEM;
    list->faulty = faulty;
    result = faulty->behind->ops->list_open(faulty->behind, path, after, &list->behind);
    if (result)
        free(list);
    else
        *ret_list = list;
    return result;
}

static int list_next(struct store_list *list, struct store_item *ret_item) {
    struct faulty_store *faulty = list->faulty;
    int result = pass(faulty, FAULTY_LIST_NEXT);
    if (result == 0 && happens(faulty, FAULTY_CUT))
        result = -ETIMEDOUT;
    if (result == 0)
        result = faulty->behind->ops->list_next(list->behind, ret_item);
    if (result > 0)
        adopt(faulty, ret_item->entry.revision);
    return result;
}

static void list_close(struct store_list *list) {
    list->faulty->behind->ops->list_close(list->behind);
    free(list);
}

/* The chunks behind the first few do not arrive. */
static void cut(unsigned count, struct blob **blobs, int *errors) {
    for (unsigned i = count / 2; i < count; i++) {
        blob_unref(blobs[i]);
        blobs[i] = NULL;
        errors[i] = -ETIMEDOUT;
    }
}

static void drop(int result, unsigned count, struct blob **blobs) {
    for (unsigned i = 0; result == 0 && i < count; i++)
        blob_unref(blobs[i]);
}

static int fetch(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors) {
    struct faulty_store *faulty = faulty_of(store);
    const struct store_ops *ops = faulty->behind->ops;
    int result = pass(faulty, FAULTY_FETCH);
    if (result == 0 && happens(faulty, FAULTY_TWICE))
        drop(ops->fetch(faulty->behind, revision, first, count, budget, ret_blobs, ret_errors), count, ret_blobs);
    if (result == 0)
        result = ops->fetch(faulty->behind, revision, first, count, budget, ret_blobs, ret_errors);
    if (result == 0 && happens(faulty, FAULTY_CUT))
        cut(count, ret_blobs, ret_errors);
    return result;
}

static int fetch_heads(struct store *store, struct revision *const *revisions, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_FETCH_HEADS);
    if (result == 0)
        result = faulty->behind->ops->fetch_heads(faulty->behind, revisions, count, budget, ret_blobs, ret_errors);
    if (result == 0 && happens(faulty, FAULTY_CUT))
        cut(count, ret_blobs, ret_errors);
    return result;
}

/* ---- changes ---- */

/* The answer to a change of a file: its revision goes to the caller, or is lost with the answer. */
static int answer_revision(struct faulty_store *faulty, enum faulty_call call, int result, struct revision *revision,
                           struct revision **ret_revision) {
    result = answer(faulty, call, result);
    adopt(faulty, revision);
    if (result)
        revision_unref(revision);
    else if (revision)
        *ret_revision = revision;
    return result;
}

static int put(struct store *store, const struct store_put *put, struct revision **ret_revision) {
    struct faulty_store *faulty = faulty_of(store);
    struct revision *revision = NULL;
    int result = pass(faulty, FAULTY_PUT);
    if (result == 0)
        result = faulty->behind->ops->put(faulty->behind, put, &revision);
    return answer_revision(faulty, FAULTY_PUT, result, revision, ret_revision);
}

static int upload_begin(struct store *store, const struct revision *base, const struct store_source *source,
                        int64_t start, struct store_upload **ret_upload) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_UPLOAD_BEGIN);
    return result ? result : faulty->behind->ops->upload_begin(faulty->behind, base, source, start, ret_upload);
}

static void upload_offer(struct store *store, struct store_upload *upload, int64_t end) {
    struct faulty_store *faulty = faulty_of(store);
    if (pass(faulty, FAULTY_UPLOAD_OFFER) == 0)
        faulty->behind->ops->upload_offer(faulty->behind, upload, end);
}

static struct store_upload *upload_end(struct store *store, struct store_upload *upload) {
    struct faulty_store *faulty = faulty_of(store);
    return faulty->behind->ops->upload_end(faulty->behind, upload);
}

static int reserve(struct store *store, const char *path, struct store_lease **ret_lease) {
    struct faulty_store *faulty = faulty_of(store);
    struct store_lease *lease = NULL;
    int result = pass(faulty, FAULTY_RESERVE);
    if (result == 0)
        result = faulty->behind->ops->reserve(faulty->behind, path, &lease);
    result = answer(faulty, FAULTY_RESERVE, result);
    if (result)
        faulty->behind->ops->release(faulty->behind, lease);
    else
        *ret_lease = lease;
    return result;
}

static struct store_lease *release(struct store *store, struct store_lease *lease) {
    struct faulty_store *faulty = faulty_of(store);
    pass(faulty, FAULTY_RELEASE);
    return faulty->behind->ops->release(faulty->behind, lease);
}

static int make(struct store *store, const char *path, const struct store_entry *node) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_MAKE);
    if (result == 0)
        result = faulty->behind->ops->make(faulty->behind, path, node);
    return answer(faulty, FAULTY_MAKE, result);
}

static int keep_directory(struct store *store, const char *path) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_KEEP_DIRECTORY);
    if (result == 0)
        result = faulty->behind->ops->keep_directory(faulty->behind, path);
    return answer(faulty, FAULTY_KEEP_DIRECTORY, result);
}

static int remove_name(struct store *store, const struct store_object *object) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_REMOVE);
    if (result == 0)
        result = faulty->behind->ops->remove(faulty->behind, object);
    return answer(faulty, FAULTY_REMOVE, result);
}

static int remove_directory(struct store *store, const char *path) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_REMOVE_DIRECTORY);
    if (result == 0)
        result = faulty->behind->ops->remove_directory(faulty->behind, path);
    return answer(faulty, FAULTY_REMOVE_DIRECTORY, result);
}

static int rename_name(struct store *store, const struct store_rename *rename) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_RENAME);
    if (result == 0)
        result = faulty->behind->ops->rename(faulty->behind, rename);
    return answer(faulty, FAULTY_RENAME, result);
}

static int link_name(struct store *store, const struct store_object *object, const char *path,
                     struct revision **ret_revision) {
    struct faulty_store *faulty = faulty_of(store);
    struct revision *revision = NULL;
    int result = pass(faulty, FAULTY_LINK);
    if (result == 0)
        result = faulty->behind->ops->link(faulty->behind, object, path, &revision);
    return answer_revision(faulty, FAULTY_LINK, result, revision, ret_revision);
}

static int set_attributes(struct store *store, const struct store_object *object, const struct attributes *changes,
                          struct revision **ret_revision) {
    struct faulty_store *faulty = faulty_of(store);
    struct revision *revision = NULL;
    int result = pass(faulty, FAULTY_SET_ATTRIBUTES);
    if (result == 0)
        result = faulty->behind->ops->set_attributes(faulty->behind, object, changes, &revision);
    return answer_revision(faulty, FAULTY_SET_ATTRIBUTES, result, revision, ret_revision);
}

static int xattrs(struct store *store, const struct store_object *object, struct store_xattr **ret_first) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_XATTRS);
    return result ? result : faulty->behind->ops->xattrs(faulty->behind, object, ret_first);
}

static int xattrs_of(struct store *store, struct revision *const *revisions, uint32_t count, struct store_xattr **ret_firsts) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_XATTRS_OF);
    return result ? result : faulty->behind->ops->xattrs_of(faulty->behind, revisions, count, ret_firsts);
}

static int set_xattr(struct store *store, const struct store_object *object, const char *name, const void *value,
                     size_t size, enum store_xattr_how how) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_SET_XATTR);
    if (result == 0)
        result = faulty->behind->ops->set_xattr(faulty->behind, object, name, value, size, how);
    return answer(faulty, FAULTY_SET_XATTR, result);
}

static int keep(struct store *store, struct revision *const *open, uint32_t count) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_KEEP);
    if (result == 0)
        result = faulty->behind->ops->keep(faulty->behind, open, count);
    return answer(faulty, FAULTY_KEEP, result);
}

static int tidy(struct store *store, struct revision *const *open, uint32_t count) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_TIDY);
    if (result == 0)
        result = faulty->behind->ops->tidy(faulty->behind, open, count);
    return answer(faulty, FAULTY_TIDY, result);
}

static const struct store_ops operations = {
    .lookup = lookup,
    .newest = newest,
    .by_id = by_id,
    .history = history,
    .is_retired = is_retired,
    .survey = survey,
    .list_open = list_open,
    .list_next = list_next,
    .list_close = list_close,
    .fetch = fetch,
    .fetch_heads = fetch_heads,
    .put = put,
    .upload_begin = upload_begin,
    .upload_offer = upload_offer,
    .upload_end = upload_end,
    .reserve = reserve,
    .release = release,
    .make = make,
    .keep_directory = keep_directory,
    .remove = remove_name,
    .remove_directory = remove_directory,
    .rename = rename_name,
    .link = link_name,
    .set_attributes = set_attributes,
    .xattrs = xattrs,
    .xattrs_of = xattrs_of,
    .set_xattr = set_xattr,
    .keep = keep,
    .tidy = tidy,
};

void faulty_store_init(struct faulty_store *faulty, struct store *behind) {
    memset(faulty, 0, sizeof *faulty);
    faulty->behind = behind;
    faulty->store = (struct store){.ops = &operations, .bucket = behind->bucket, .oddities = behind->oddities};
    for (int call = 0; call < FAULTY_CALLS; call++)
        gate_init(&faulty->gates[call]);
}

void faulty_store_done(struct faulty_store *faulty) {
    for (int call = 0; call < FAULTY_CALLS; call++)
        gate_done(&faulty->gates[call]);
}

void faulty_store_set_odds(struct faulty_store *faulty, enum faulty_fault fault, unsigned per_mille) {
    atomic_store(&faulty->odds[fault], per_mille);
}

static void plan(struct faulty_plan *plan, unsigned nth, int error) {
    CHECK(nth > 0 && error < 0);
    atomic_store(&plan->error, error);
    atomic_store(&plan->countdown, nth);
}

void faulty_store_fail(struct faulty_store *faulty, enum faulty_call call, unsigned nth, int error) {
    plan(&faulty->before[call], nth, error);
}

void faulty_store_lose_answer(struct faulty_store *faulty, enum faulty_call call, unsigned nth, int error) {
    CHECK(call >= FAULTY_PUT && call != FAULTY_RELEASE && call != FAULTY_XATTRS && call != FAULTY_XATTRS_OF);
    plan(&faulty->after[call], nth, error);
}
