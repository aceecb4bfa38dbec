// SPDX-License-Identifier: Apache-2.0
#include "fs/store_source.h"

#include "fs/store/store.h"

static int fetch(void *context, void *handle, uint32_t first, uint32_t count, struct budget *budget,
                 struct blob **ret_blobs, int *ret_errors) {
    (void)context;
    struct revision *revision = handle;
    return revision->store->ops->fetch(revision->store, revision, first, count, budget, ret_blobs, ret_errors);
}

static int fetch_heads(void *context, void *const *handles, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    (void)context;
    struct revision *revisions[CHUNKS_FETCH_MOST];
    for (uint32_t i = 0; i < count; i++)
        revisions[i] = handles[i];
    struct store *store = revisions[0]->store; /* of one directory */
    return store->ops->fetch_heads(store, revisions, count, budget, ret_blobs, ret_errors);
}

static void ref(void *handle) {
    revision_ref(handle);
}

static void unref(void *handle) {
    revision_unref(handle);
}

_Static_assert((int)CHUNKS_FETCH_MOST <= (int)STORE_FETCH_MOST, "the cache may ask for more than a store gives");

const struct chunk_source store_source = {
    .fetch = fetch, .fetch_heads = fetch_heads, .ref = ref, .unref = unref};
