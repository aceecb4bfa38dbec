// SPDX-License-Identifier: Apache-2.0
#include "fs/revisions_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/store/revision.h"
#include "fs/tools/text.h"

static void put_past(FILE *out, const struct store_past *past, bool current) {
    const struct revision *revision = past->revision;
    fputs("{\"id\":", out);
    text_put_json(out, past->id, strlen(past->id));
    if (revision->date_ms != INT64_MIN)
        fprintf(out, ",\"date_ms\":%" PRId64, revision->date_ms);
    if (!revision->damage)
        fprintf(out, ",\"size\":%" PRId64, revision->length);
    fprintf(out, ",\"by\":\"%s\"", revision->posix == POSIX_OWN ? "gridmount" : "application");
    if (revision->attributes.has & ATTRIBUTES_UID)
        fprintf(out, ",\"uid\":%" PRIu32, revision->attributes.uid);
    if (past->sha256)
        fprintf(out, ",\"sha256\":\"%s\"", past->sha256);
    if (past->retired && past->due_ms != INT64_MIN)
        fprintf(out, ",\"until_ms\":%" PRId64, past->due_ms);
    fprintf(out, ",\"state\":\"%s\"}", current ? "current" : past->retired ? "retired" : "kept");
}

char *revisions_text(const struct store_past *list, uint32_t count) {
    char *text = NULL;
    size_t size = 0;
    uint32_t retired = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    fputs("{\"revisions\":[", out);
    for (uint32_t i = 0; i < count; i++) {
        if (i)
            fputc(',', out);
        put_past(out, &list[i], i == 0 && !list[i].retired);
        retired += list[i].retired;
    }
    bool more = retired >= REVISIONS_TOLD || count - retired >= REVISIONS_TOLD;
    fprintf(out, "],\"more\":%s}\n", more ? "true" : "false");
    bool lost = ferror(out);
    if (fclose(out) || lost) {
        free(text);
        return NULL;
    }
    return text;
}
