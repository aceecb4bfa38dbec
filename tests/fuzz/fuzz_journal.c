// SPDX-License-Identifier: Apache-2.0
/* Records of the journal: any bytes are none, or one that makes a sound file; facts that are accepted come back as they
 * were. */
#include <errno.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/mman.h>

#include "cache/base/check.h"
#include "cache/base/wire.h"
#include "cache/journal_codec.h"
#include "cache/journal_record.h"
#include "cache/whole.h"
#include "fs/vfs/unstored.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int read_base(void *context, int64_t offset, size_t size, void *into) {
    (void)context;
    (void)offset;
    memset(into, 'b', size);
    return 0;
}

static void count_nothing(void *context) {
    (void)context;
}

static void try_facts(const void *bytes, size_t size) {
    struct unstored unstored;
    cleanup_free void *again = NULL;
    size_t size_again;
    if (unstored_decode(bytes, size, &unstored))
        return;
    CHECK(unstored_encode(&unstored, &again, &size_again) == 0);
    unstored_done(&unstored);
    struct unstored twice;
    CHECK(unstored_decode(again, size_again, &twice) == 0);
    cleanup_free void *third = NULL;
    size_t size_third;
    CHECK(unstored_encode(&twice, &third, &size_third) == 0);
    CHECK(size_third == size_again && memcmp(third, again, size_again) == 0);
    unstored_done(&twice);
}

static void replay(struct journal_record *record) {
    const struct staged_base base = {
        .context = (void *)"", .length = 1000, .read = read_base, .ref = count_nothing, .unref = count_nothing};
    const struct staged_hole hole = {.offset = 100, .length = 200};
    struct budget budget;
    struct staging *staging;
    budget_init(&budget, SIZE_MAX);
    CHECK(staging_new(&budget, 1 << 20, "/tmp", &staging) == 0);
    struct staged *staged = staged_new(staging, &base, &hole, 1);
    CHECK(staged);
    (void)journal_record_replay(record, staged);
    staged_check(staged);
    staged_free(staged);
    staging_free(staging);
}

static void try_record(const unsigned char *bytes, size_t size) {
    int fd = memfd_create("record", MFD_CLOEXEC);
    struct journal_record *record;
    CHECK(fd >= 0 && whole_write(fd, 0, bytes, size) == 0);
    int result = journal_record_open(fd, &record);
    if (result) {
        CHECK(result == -EBADMSG || result == -EPROTONOSUPPORT);
        close(fd);
        return;
    }
    size_t facts_size;
    const void *facts = journal_record_facts(record, &facts_size);
    try_facts(facts, facts_size);
    replay(record);
    journal_record_free(record);
}

/* The rest as facts and parts behind a header that is right: no fuzzer guesses a SHA-256. */
static void try_body(const unsigned char *data, size_t size) {
    struct wire_reader reader = {.bytes = data, .left = size};
    struct journal_header header = {.facts_size = wire_get_32(&reader) & 0xfff,
                                    .length = (int64_t)wire_get_64(&reader)};
    size_t whole = JOURNAL_HEADER + reader.left;
    cleanup_free unsigned char *bytes = malloc(whole);
    CHECK(bytes);
    header.size = (int64_t)whole;
    journal_header_encode(&header, bytes);
    memcpy(bytes + JOURNAL_HEADER, reader.bytes, reader.left);
    CHECK(EVP_Digest(bytes, whole, header.checksum, NULL, EVP_sha256(), NULL));
    journal_header_encode(&header, bytes);
    try_record(bytes, whole);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    enum { FACTS = 'f', BODY = 'b' };
    if (size && *data == FACTS)
        try_facts(data + 1, size - 1);
    else if (size && *data == BODY)
        try_body(data + 1, size - 1);
    else
        try_record(data, size);
    return 0;
}
