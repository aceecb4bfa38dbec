// SPDX-License-Identifier: Apache-2.0
/* What is beside files documents: nodes, further names, locks of mounts, and the events of a change stream. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "fs/store/mongo/change_event.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/hold.h"
#include "fs/store/names.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void try_node(const bson_t *document) {
    struct store_entry entry;
    struct document_link link;
    if (document_node(document, &entry) == 0) {
        CHECK(entry.kind != STORE_FILE && !entry.revision && !entry.witness);
        CHECK((entry.kind == STORE_SYMLINK) == (entry.target != NULL) && (!entry.target || *entry.target));
        CHECK((entry.attributes.mode & ~07777u) == 0);
        store_entry_done(&entry);
    }
    if (document_link(document, &link) == 0) {
        CHECK(*link.at && (!link.was || *link.was));
        document_link_done(&link);
    }
}

/* What a hold is said to exclude, it has in common with what was asked about. */
static void try_hold(const bson_t *document) {
    static const struct store_range asked[] = {{.start = 0, .end = 9}, {.start = 100, .end = INT64_MAX, .exclusive = true}};
    struct hold_found found;
    struct store_range range;
    (void)hold_parse(document, &found);
    if (!hold_excludes(document, asked, 2, &range))
        return;
    CHECK(range.start >= 0 && range.start <= range.end);
    CHECK((range.start <= 9 && range.exclusive) || range.end >= 100);
}

static void try_id(const char *id, size_t size) {
    const char *path;
    size_t path_size;
    bson_oid_t mount;
    if (hold_parse_id(id, size, &path, &path_size, &mount))
        CHECK(path >= id && path_size <= size && path + path_size <= id + size);
}

static void try_event(const bson_t *event, const struct change_collections *collections) {
    struct store_change change;
    if (change_event_read(event, collections, &change) <= 0)
        return;
    CHECK(change.kind == STORE_CHANGE_ANY || change.path || change.id);
    CHECK(change.kind != STORE_CHANGE_CAME || change.path);
    CHECK(!change.path || (*change.path && names_is_path(change.path, strlen(change.path))));
    CHECK(!change.id || change.id_size > 5);
    change_event_done(&change);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    static const struct change_collections all = {
        .files = "fs.files", .nodes = "fs.gridmount.nodes", .locks = "fs.gridmount.locks"};
    static const struct change_collections locks = {.locks = "fs.gridmount.locks"};
    bson_t document;
    try_id((const char *)data, size);
    if (size < 5 || !bson_init_static(&document, data, size))
        return 0;
    try_node(&document);
    try_hold(&document);
    try_event(&document, &all);
    try_event(&document, &locks);
    return 0;
}
