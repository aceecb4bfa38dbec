// SPDX-License-Identifier: Apache-2.0
#include "cache/journal.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "cache/base/check.h"
#include "cache/journal_codec.h"
#include "cache/whole.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/unit.h"

enum { BIG = 3 << 20, DEAD = 99 };

static const char facts[] = "who, where, since when";

/* ---- a process that is killed before one of its calls to the disk ---- */

static unsigned dies_at; /* 1: the next; 0: it lives */

static void step(void) {
    if (dies_at && --dies_at == 0)
        _exit(DEAD);
}

int fsync(int fd) {
    step();
    return (int)syscall(SYS_fsync, fd);
}

int renameat(int from, const char *name, int to, const char *new_name) {
    step();
    return (int)syscall(SYS_renameat2, from, name, to, new_name, 0);
}

int unlinkat(int directory, const char *name, int flags) {
    step();
    return (int)syscall(SYS_unlinkat, directory, name, flags);
}

/* Whether `work` was killed at its nth step; false: it has less. */
static bool killed_at(unsigned nth, void (*work)(void *context), void *context) {
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        dies_at = nth;
        work(context);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == DEAD));
    return WEXITSTATUS(status) == DEAD;
}

/* ---- a base, an area, a folder ---- */

static int read_base(void *context, int64_t offset, size_t size, void *into) {
    memcpy(into, (const char *)context + offset, size);
    return 0;
}

static void count_nothing(void *context) {
    (void)context;
}

static char base_bytes[] = "abcdefghijklmnopqrstuvwxyz";
static const struct staged_base base = {
    .context = base_bytes, .length = 26, .read = read_base, .ref = count_nothing, .unref = count_nothing};

static struct budget budget;
static struct staging *staging;
static struct journal *journal;
static char folder[40];

static int set_up(void **state) {
    (void)state;
    strcpy(folder, "/tmp/test-journal-XXXXXX");
    CHECK(mkdtemp(folder));
    budget_init(&budget, 16 << 20);
    CHECK(staging_new(&budget, 1 << 20, folder, &staging) == 0);
    CHECK(journal_open(folder, &journal) == 0);
    return 0;
}

/* The names in the folder, in no order, as one text. */
static void list(char ret_names[1000]) {
    DIR *listing = opendir(folder);
    struct dirent *entry;
    *ret_names = '\0';
    while ((entry = readdir(listing)))
        if (entry->d_name[0] != '.')
            strcat(strcat(ret_names, entry->d_name), " ");
    closedir(listing);
}

static void expect_names(const char *expected) {
    char names[1000];
    list(names);
    assert_string_equal(names, expected);
}

static void remove_all(void) {
    char names[1000], path[300], *rest = names, *name;
    list(names);
    while ((name = strsep(&rest, " ")) && *name) {
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (unlink(path))
            rmdir(path);
    }
}

static int tear_down(void **state) {
    (void)state;
    journal_free(journal);
    staging_free(staging);
    remove_all();
    return rmdir(folder);
}

static void reopen(void) {
    journal = journal_free(journal);
    assert_int_equal(journal_open(folder, &journal), 0);
}

static void path_of(uint64_t number, const char *what, char ret_path[100]) {
    snprintf(ret_path, 100, "%s/%016llx.%s", folder, (unsigned long long)number, what);
}

/* ---- records ---- */

static struct staged *clean_file(void) {
    return staged_new(staging, &base, NULL, 0);
}

/* "abcXYZghij", zeros that are data, "XXXX...", a hole. */
static struct staged *written_file(void) {
    struct staged *staged = clean_file();
    assert_int_equal(staged_truncate(staged, 10), 0);
    assert_int_equal(staged_write(staged, 3, "XYZ", 3), 0);
    assert_int_equal(staged_allocate(staged, 10, 5, false), 0);
    assert_int_equal(staged_write(staged, 20, "end", 3), 0);
    assert_int_equal(staged_truncate(staged, 40), 0);
    return staged;
}

static uint64_t recorded(struct staged *staged) {
    uint64_t number = journal_next(journal);
    assert_int_equal(journal_write(journal, number, facts, sizeof facts, staged), 0);
    return number;
}

/* What a record makes of a clean file. */
static struct staged *replayed(uint64_t number) {
    struct journal_record *record;
    struct staged *staged = clean_file();
    size_t size;
    assert_int_equal(journal_read(journal, number, &record), 0);
    assert_memory_equal(journal_record_facts(record, &size), facts, sizeof facts);
    assert_int_equal(size, sizeof facts);
    assert_int_equal(journal_record_replay(record, staged), 0);
    staged_check(staged);
    assert_null(journal_record_free(record));
    return staged;
}

static void expect_same(struct staged *one, struct staged *other) {
    cleanup_free char *here = malloc(BIG + 1), *there = malloc(BIG + 1);
    int64_t length = staged_length(one);
    assert_true(length <= BIG && length == staged_length(other));
    assert_int_equal(staged_read(one, 0, BIG, here), length);
    assert_int_equal(staged_read(other, 0, BIG, there), length);
    assert_memory_equal(here, there, (size_t)length);
    assert_int_equal(staged_allocated(one), staged_allocated(other));
}

static void what_was_recorded_is_what_is_replayed(void **state) {
    (void)state;
    struct staged *staged = written_file();
    uint64_t number = recorded(staged);
    reopen();
    struct staged *again = replayed(number);
    char text[41] = "";
    expect_same(staged, again);
    assert_int_equal(staged_read(again, 0, 40, text), 40);
    assert_string_equal(text, "abcXYZghij");
    assert_memory_equal(text + 18, "\0\0end\0\0", 7);
    staged_free(again);
    staged_free(staged);
}

static void what_the_base_has_is_not_recorded(void **state) {
    (void)state;
    struct staged *staged = clean_file();
    char path[100];
    struct stat status;
    assert_int_equal(staged_write(staged, 20, "x", 1), 0);
    uint64_t number = recorded(staged);
    path_of(number, "record", path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_size, JOURNAL_HEADER + sizeof facts + JOURNAL_PART + 1);
    assert_int_equal(status.st_mode & 07777, 0600);
    struct staged *again = replayed(number);
    expect_same(staged, again);
    assert_true(staged_is_clean(again, 0, 20) && !staged_is_clean(again, 20, 1));
    staged_free(again);
    staged_free(staged);
}

static void what_is_on_disk_and_larger_than_any_buffer_is_recorded(void **state) {
    (void)state;
    struct staged *staged = clean_file();
    struct dice dice = dice_new("journal");
    cleanup_free unsigned char *bytes = malloc(BIG);
    for (int i = 0; i < BIG; i++)
        bytes[i] = (unsigned char)dice_throw(&dice);
    assert_int_equal(staged_write(staged, 7, bytes, BIG - 7), 0);
    assert_int_equal(staged_punch(staged, 1 << 20, 100000), 0);
    struct staged *again = replayed(recorded(staged));
    expect_same(staged, again);
    staged_free(again);
    staged_free(staged);
}

static void a_record_is_replaced_and_removed(void **state) {
    (void)state;
    struct staged *staged = written_file();
    struct journal_record *record;
    uint64_t number = recorded(staged);
    assert_int_equal(staged_write(staged, 0, "newer", 5), 0);
    assert_int_equal(journal_write(journal, number, facts, sizeof facts, staged), 0);
    struct staged *again = replayed(number);
    expect_same(staged, again);
    staged_free(again);
    assert_int_equal(journal_remove(journal, number), 0);
    assert_int_equal(journal_remove(journal, number), 0);
    assert_int_equal(journal_read(journal, number, &record), -ENOENT);
    expect_names("");
    staged_free(staged);
}

static void those_that_are_there_are_found_in_order(void **state) {
    (void)state;
    struct staged *staged = written_file();
    unsigned count;
    uint64_t numbers[20];
    for (int i = 0; i < 20; i++)
        numbers[i] = recorded(staged);
    assert_int_equal(journal_remove(journal, numbers[3]), 0);
    journal_found(journal, &count);
    assert_int_equal(count, 0);
    reopen();
    const uint64_t *found = journal_found(journal, &count);
    assert_int_equal(count, 19);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(found[i], numbers[i + (i >= 3)]);
    assert_true(journal_next(journal) > numbers[19]);
    staged_free(staged);
}

/* ---- a disk that fails ---- */

static void a_full_disk_leaves_the_record_of_before(void **state) {
    (void)state;
    struct staged *staged = written_file(), *before;
    uint64_t number = recorded(staged);
    assert_int_equal(staged_write(staged, 0, "newer", 5), 0);
    atomic_store(&fake_disk.full, true);
    assert_int_equal(journal_write(journal, number, facts, sizeof facts, staged), -ENOSPC);
    atomic_store(&fake_disk.full, false);
    before = replayed(number);
    char text[11] = "";
    assert_int_equal(staged_read(before, 0, 10, text), 10);
    assert_string_equal(text, "abcXYZghij");
    char names[1000];
    list(names);
    assert_null(strstr(names, ".new"));
    staged_free(before);
    staged_free(staged);
}

static void interrupted_writes_go_on(void **state) {
    (void)state;
    struct staged *staged = written_file();
    atomic_store(&fake_disk.interrupts, 4);
    struct staged *again = replayed(recorded(staged));
    assert_int_equal(atomic_load(&fake_disk.interrupts), 0);
    expect_same(staged, again);
    staged_free(again);
    staged_free(staged);
}

static void put_file(uint64_t number, const char *what, const void *bytes, size_t size) {
    char path[100];
    path_of(number, what, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(whole_write(fd, 0, bytes, size), 0);
    close(fd);
}

static void what_was_begun_when_the_process_died_goes(void **state) {
    (void)state;
    struct staged *staged = written_file();
    uint64_t number = recorded(staged);
    put_file(number, "new", "half a rec", 10);
    put_file(number + 5, "new", "half a rec", 10);
    reopen();
    char expected[40];
    snprintf(expected, sizeof expected, "%016llx.record ", (unsigned long long)number);
    expect_names(expected);
    staged_free(replayed(number));
    staged_free(staged);
}

/* What `number` says, "" when there is no record. */
static void read_start(uint64_t number, char ret_text[6]) {
    struct journal_record *record;
    int result = journal_read(journal, number, &record);
    memset(ret_text, 0, 6);
    if (result == -ENOENT)
        return;
    assert_int_equal(result, 0);
    journal_record_free(record);
    struct staged *staged = replayed(number);
    assert_int_equal(staged_read(staged, 0, 5, ret_text), 5);
    staged_free(staged);
}

struct writing {
    uint64_t number;
    struct staged *staged;
};

static void write_it(void *context) {
    struct writing *writing = context;
    CHECK(journal_write(journal, writing->number, facts, sizeof facts, writing->staged) == 0);
}

static void remove_it(void *context) {
    struct writing *writing = context;
    CHECK(journal_remove(journal, writing->number) == 0);
}

static void who_is_killed_at_any_step_leaves_the_old_or_the_new(void **state) {
    (void)state;
    struct writing writing = {.number = journal_next(journal), .staged = written_file()};
    char text[6];
    enum { FIRST, AGAIN, REMOVED, PHASES };
    static const char *const old[] = {"", "abcXY", "newer"}, *const new[] = {"abcXY", "newer", ""};
    unsigned steps = 0;
    for (int phase = FIRST; phase < PHASES; phase++) {
        void (*work)(void *) = phase == REMOVED ? remove_it : write_it;
        if (phase == AGAIN)
            assert_int_equal(staged_write(writing.staged, 0, "newer", 5), 0);
        for (unsigned nth = 1; killed_at(nth, work, &writing); nth++, steps++) {
            reopen();
            read_start(writing.number, text);
            assert_true(strcmp(text, old[phase]) == 0 || strcmp(text, new[phase]) == 0);
        }
        read_start(writing.number, text);
        assert_string_equal(text, new[phase]);
    }
    assert_true(steps >= 8);
    expect_names("");
    staged_free(writing.staged);
}

/* ---- what is no record ---- */

static int read_error(uint64_t number) {
    struct journal_record *record;
    int result = journal_read(journal, number, &record);
    if (result == 0)
        journal_record_free(record);
    return result;
}

static size_t read_record(uint64_t number, unsigned char ret_bytes[1000]) {
    char path[100];
    path_of(number, "record", path);
    int fd = open(path, O_RDONLY);
    ssize_t size = read(fd, ret_bytes, 1000);
    close(fd);
    assert_true(size > 0 && size < 1000);
    return (size_t)size;
}

static void a_torn_record_is_none_wherever_it_ends(void **state) {
    (void)state;
    unsigned char bytes[1000] = {0};
    struct staged *staged = written_file();
    uint64_t number = recorded(staged);
    size_t size = read_record(number, bytes);
    for (size_t end = 0; end < size; end++) {
        put_file(number, "record", bytes, end);
        assert_int_equal(read_error(number), -EBADMSG);
    }
    put_file(number, "record", bytes, size);
    assert_int_equal(read_error(number), 0);
    put_file(number, "record", bytes, size + 1);
    assert_int_equal(read_error(number), -EBADMSG);
    staged_free(staged);
}

static void a_flipped_bit_is_noticed_wherever_it_is(void **state) {
    (void)state;
    unsigned char bytes[1000];
    enum { VERSION_AT = 8, VERSION_END = 12 };
    struct staged *staged = written_file();
    uint64_t number = recorded(staged);
    size_t size = read_record(number, bytes);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bool version = bit / 8 >= VERSION_AT && bit / 8 < VERSION_END;
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        put_file(number, "record", bytes, size);
        assert_int_equal(read_error(number), version ? -EPROTONOSUPPORT : -EBADMSG);
        bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    staged_free(staged);
}

static void what_is_not_ours_is_no_record(void **state) {
    (void)state;
    char path[100], other[100];
    struct stat status;
    put_file(1, "record", "", 0);
    put_file(2, "record", "#!/bin/sh\necho a text that is long enough to have had a header of a record in it\n", 80);
    path_of(3, "record", path);
    assert_int_equal(mkdir(path, 0700), 0);
    path_of(4, "record", path);
    assert_int_equal(symlink("/dev/zero", path), 0);
    path_of(5, "record", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    for (uint64_t number = 1; number <= 5; number++) {
        assert_int_equal(read_error(number), -EBADMSG);
        assert_int_equal(journal_set_aside(journal, number), 0);
        assert_int_equal(read_error(number), -ENOENT);
        path_of(number, "bad", path);
        assert_int_equal(lstat(path, &status), 0);
    }
    snprintf(other, sizeof other, "%s/notes.record", folder);
    close(open(other, O_WRONLY | O_CREAT, 0600));
    reopen();
    unsigned count;
    journal_found(journal, &count);
    assert_int_equal(count, 0);
    assert_int_equal(journal_bad(journal), 5);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_equal(journal_next(journal), 6);
}

static void a_directory_that_is_none_is_refused(void **state) {
    (void)state;
    struct journal *none = NULL;
    assert_int_equal(journal_open("/dev/null", &none), -ENOTDIR);
    assert_int_equal(journal_open("/nowhere", &none), -ENOENT);
    assert_null(none);
    assert_null(journal_free(NULL));
    assert_null(journal_record_free(NULL));
}

static void a_part_must_follow_the_one_before_and_lie_within_the_file(void **state) {
    (void)state;
    static const struct staged_part bad[] = {
        {.offset = 9, .length = 1},   {.offset = 10, .length = 0},         {.offset = 10, .length = -1},
        {.offset = 10, .length = 91}, {.offset = 101, .length = 1},        {.offset = -1, .length = 1},
        {.offset = 10, .length = INT64_MAX}, {.offset = 10, .length = 1, .kind = STAGED_HOLE + 1},
    };
    unsigned char bytes[JOURNAL_PART];
    struct staged_part part = {.offset = 10, .length = 90, .kind = STAGED_HOLE}, back;
    journal_part_encode(&part, bytes);
    assert_int_equal(journal_part_decode(bytes, 10, 100, &back), 0);
    assert_true(back.offset == 10 && back.length == 90 && back.kind == STAGED_HOLE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        journal_part_encode(&bad[i], bytes);
        assert_int_equal(journal_part_decode(bytes, 10, 100, &back), -EBADMSG);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_recorded_is_what_is_replayed),
        TEST(what_the_base_has_is_not_recorded),
        TEST(what_is_on_disk_and_larger_than_any_buffer_is_recorded),
        TEST(a_record_is_replaced_and_removed),
        TEST(those_that_are_there_are_found_in_order),
        TEST(a_full_disk_leaves_the_record_of_before),
        TEST(interrupted_writes_go_on),
        TEST(what_was_begun_when_the_process_died_goes),
        TEST(who_is_killed_at_any_step_leaves_the_old_or_the_new),
        TEST(a_torn_record_is_none_wherever_it_ends),
        TEST(a_flipped_bit_is_noticed_wherever_it_is),
        TEST(what_is_not_ours_is_no_record),
        TEST(a_directory_that_is_none_is_refused),
        TEST(a_part_must_follow_the_one_before_and_lie_within_the_file),
    };
    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
