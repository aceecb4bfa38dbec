// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/ahead.h"

#include "cache/base/check.h"
#include "cache/base/cleanup.h"

void ahead_init(struct ahead *ahead) {
    *ahead = (struct ahead){0};
    lock_init(&ahead->lock, LOCK_FILE);
}

void ahead_done(struct ahead *ahead) {
    CHECK(!ahead->upload);
    lock_done(&ahead->lock);
}

bool ahead_wrote(struct ahead *ahead, int64_t offset, size_t size) {
    lock_acquire(&ahead->lock);
    if (offset != ahead->end)
        ahead->start = offset;
    int64_t end = ahead->end = offset + (int64_t)size;
    bool begins = !ahead->begun && end - ahead->start >= AHEAD_LEAST;
    bool offers = ahead->upload && ahead->start <= ahead->offered && end > ahead->offered;
    ahead->begun |= begins;
    ahead->offered = offers ? end : ahead->offered;
    lock_release(&ahead->lock);
    if (offers)
        ahead->store->ops->upload_offer(ahead->store, ahead->upload, end);
    return begins;
}

static int read_staged(void *context, int64_t offset, size_t size, void *into) {
    return staged_read_to_send(context, offset, size, into);
}

void ahead_begin(struct ahead *ahead, struct store *store, const struct revision *model, struct staged *staged) {
    struct store_source source = {.context = staged, .read = read_staged};
    struct store_upload *upload;
    lock_acquire(&ahead->lock);
    CHECK(ahead->begun && !ahead->upload);
    int64_t start = ahead->start;
    lock_release(&ahead->lock);
    if (store->ops->upload_begin(store, model, &source, start, &upload))
        return;
    lock_acquire(&ahead->lock);
    ahead->store = store;
    ahead->upload = upload;
    ahead->offered = start;
    lock_release(&ahead->lock);
}

struct store_upload *ahead_upload(struct ahead *ahead) {
    lock_acquire(&ahead->lock);
    struct store_upload *upload = ahead->upload;
    lock_release(&ahead->lock);
    return upload;
}

void ahead_end(struct ahead *ahead) {
    lock_acquire(&ahead->lock);
    struct store_upload *upload = steal_ptr(&ahead->upload);
    ahead->begun = false;
    ahead->start = ahead->end;
    lock_release(&ahead->lock);
    if (upload)
        ahead->store->ops->upload_end(ahead->store, upload);
}
