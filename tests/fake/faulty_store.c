#include "tests/fake/faulty_store.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"

/* Counts a call, waits at its gate; 0, or the error that it was told. */
static int pass(struct faulty_store *faulty, enum faulty_call call) {
    atomic_fetch_add(&faulty->calls[call], 1);
    gate_pass(&faulty->gates[call]);
    unsigned left = atomic_load(&faulty->countdown[call]);
    while (left && !atomic_compare_exchange_weak(&faulty->countdown[call], &left, left - 1))
        ;
    return left == 1 ? atomic_load(&faulty->errors[call]) : 0;
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

static int fetch(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_FETCH);
    return result ? result
                  : faulty->behind->ops->fetch(faulty->behind, revision, first, count, budget, ret_blobs, ret_errors);
}

static int fetch_heads(struct store *store, struct revision *const *revisions, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    struct faulty_store *faulty = faulty_of(store);
    int result = pass(faulty, FAULTY_FETCH_HEADS);
    return result ? result
                  : faulty->behind->ops->fetch_heads(faulty->behind, revisions, count, budget, ret_blobs, ret_errors);
}

static const struct store_ops operations = {
    .lookup = lookup,
    .newest = newest,
    .by_id = by_id,
    .survey = survey,
    .list_open = list_open,
    .list_next = list_next,
    .list_close = list_close,
    .fetch = fetch,
    .fetch_heads = fetch_heads,
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

void faulty_store_fail(struct faulty_store *faulty, enum faulty_call call, unsigned nth, int error) {
    CHECK(nth > 0 && error < 0);
    atomic_store(&faulty->errors[call], error);
    atomic_store(&faulty->countdown[call], nth);
}
