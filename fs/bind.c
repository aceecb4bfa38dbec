#include "fs/bind.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "cache/chunks.h"
#include "cache/journal.h"
#include "cache/staging.h"
#include "fs/fuse/session.h"
#include "fs/leaving.h"
#include "fs/mountpoint.h"
#include "fs/staging_folder.h"
#include "fs/status_text.h"
#include "fs/store/mongo/server.h"
#include "fs/ticker.h"
#include "fs/trim.h"
#include "fs/vfs/vfs.h"

enum { FETCHERS = 2, FETCHES_QUEUED = 32, LISTERS = 2, LISTS_QUEUED = 32 };
enum {
    LEAVE_SILENT_MS = 1500, /* signals and unmounts are answered within two seconds */
    LEAVE_KEPT_MS = 4000,   /* who stops a container kills it after ten seconds */
};

struct mount {
    const struct options *options;
    struct budget budget;
    struct server *server;
    struct workers *fetchers; /* of readahead */
    struct workers *listers;  /* of directories, likewise */
    struct workers *chores;   /* one thread: what may take long and nobody waits for */
    struct chunks *chunks;
    struct staging_folder folder;
    struct staging *staging; /* NULL: read-only */
    struct journal *journal; /* likewise */
    struct vfs *vfs;
    struct session *session;
    struct leaving *leaving;
    struct lock ending; /* guards what follows */
    bool settled;       /* the vfs has nothing to be kept any more */
    atomic_bool serving;
    int result; /* of serving */
    void (*ready)(void *context);
    void *ready_context;
    struct store *watched; /* NULL: none is */
    struct ticker *ticker, *keeper;
    unsigned ticks, tidy_ticks; /* passed; between two rounds of housekeeping */
    unsigned keep_ticks;
    struct trim trim; /* of the ticker's thread */
    time_t started;
};

/* ---- the chunk cache's source: the store of the revision ---- */

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

static const struct chunk_source source = {
    .fetch = fetch, .fetch_heads = fetch_heads, .ref = ref, .unref = unref};

/* ---- status ---- */

static char *status(void *context, bool json) {
    struct mount *mount = context;
    struct status_facts facts = {
        .read_only = mount->options->read_only,
        .healthy = mount->server->ops->healthy(mount->server),
        .told = mount->vfs && vfs_is_told(mount->vfs),
        .server = mount->server->address,
        .database = mount->server->database,
        .bucket = mount->options->bucket,
        .mountpoint = mount->options->mountpoint,
        .uptime_seconds = time(NULL) - mount->started,
        .cache_size = mount->budget.limit,
        .cache_used = budget_used(&mount->budget),
    };
    return status_text(&facts, json);
}

/* ---- what is looked at once the mount serves ---- */

/* Of the bucket that is shown, or of each there is. */
static int check_indexes(struct mount *mount, bool create) {
    const char *bucket = mount->options->bucket;
    if (strcmp(bucket, "*") != 0)
        return server_check_indexes(mount->server, bucket, create);
    char **names;
    int result = mount->server->ops->buckets(mount->server, &names);
    if (result)
        return result;
    for (char **name = names; result == 0 && *name; name++)
        result = server_check_indexes(mount->server, *name, create);
    server_free_names(names);
    return result;
}

static void look_around(void *context) {
    struct mount *mount = context;
    if (!mount->options->create_indexes)
        (void)check_indexes(mount, false);
    struct store *store;
    const char *bucket = mount->options->bucket;
    if (strcmp(bucket, "*") != 0 && mount->server->ops->bucket(mount->server, bucket, &store) == 0)
        (void)store->ops->survey(store);
}

/* ---- what is told: the store of the bucket, to the vfs, to the kernel ---- */

static void outdated(void *context, const struct inode *inode, bool listing) {
    struct mount *mount = context;
    session_outdated(mount->session, inode, listing);
}

static void outdated_name(void *context, const struct inode *directory, const char *name) {
    struct mount *mount = context;
    session_outdated_name(mount->session, directory, name);
}

static bool can_be_told(const struct options *options) {
    return options->push && strcmp(options->bucket, "*") != 0;
}

/* In the mode that asks, but only what it must. */
static bool is_told(const struct options *options) {
    return can_be_told(options) && options->consistency.mode == CONSISTENCY_OPEN;
}

/* In any mode. */
static bool is_told_of_locks(const struct options *options) {
    return can_be_told(options) && options->locks == LOCKS_CLUSTER;
}

static void start_watching(struct mount *mount) {
    const struct options *options = mount->options;
    struct store_listener listener = vfs_listener(mount->vfs);
    if (!is_told(options) && !is_told_of_locks(options))
        return;
    if (mount->server->ops->bucket(mount->server, options->bucket, &mount->watched))
        return;
    int result = mount->watched->ops->watch(mount->watched, &listener);
    if (result && result != -EOPNOTSUPP) /* what the server does not have, the status tells */
        log_warning("changes by others are asked for: %s", strerror(-result));
}

/* ---- building ---- */

static int open_server(struct mount *mount, char **ret_error) {
    const struct options *options = mount->options;
    struct server_config config = {.uri = options->uri,
                                   .database = options->database,
                                   .bucket = options->bucket,
                                   .timeout_ms = (int)options->timeout_ms,
                                   .trust_ms = (int)options->consistency.trust_ms,
                                   .checksum = options->checksum,
                                   .revisions = (enum server_revisions)options->revisions,
                                   .grace_ms = options->grace_ms,
                                   .trash_max = options->trash_max};
    int result = server_open(&config, &mount->server, ret_error);
    if (result == 0 && options->create_indexes) {
        result = check_indexes(mount, true);
        if (result)
            *ret_error = strdup("the indexes cannot be made (see the log); mount without create_indexes");
    }
    return result;
}

/* A quarter of the memory is for what is written: a writer should not wait for the disk, nor push out what is read. */
static int open_staging(struct mount *mount, char **ret_error) {
    const struct options *options = mount->options;
    cleanup_free char *name = NULL;
    if (options->read_only)
        return 0;
    if (asprintf(&name, "%s\n%s\n%s\n%s", mount->server->address, mount->server->database, options->bucket,
                 options->mountpoint) < 0)
        return -ENOMEM;
    int result = staging_folder_open(options->staging_dir, name, &mount->folder, ret_error);
    if (result)
        return result;
    result = staging_new(&mount->budget, (size_t)options->cache_size / 4, mount->folder.path, &mount->staging);
    if (result == 0)
        result = journal_open(mount->folder.path, &mount->journal);
    if (result && asprintf(ret_error, "staging_dir %s: %s; give another with -o staging_dir=DIR, or mount with -o ro",
                           mount->folder.path, strerror(-result)) < 0)
        *ret_error = NULL;
    return result;
}

static int open_layers(struct mount *mount, char **ret_error) {
    const struct options *options = mount->options;
    budget_init(&mount->budget, (size_t)options->cache_size);
    int result = open_staging(mount, ret_error);
    if (result)
        return result;
    mount->fetchers = workers_new(FETCHERS, FETCHES_QUEUED);
    mount->listers = workers_new(LISTERS, LISTS_QUEUED);
    mount->chores = workers_new(1, 8);
    if (mount->fetchers)
        mount->chunks = chunks_new(&mount->budget, &source, mount->fetchers);
    if (!mount->chores || !mount->listers || !mount->chunks)
        return -ENOMEM;
    struct vfs_config config = {
        .server = mount->server,
        .bucket = options->bucket,
        .chunks = mount->chunks,
        .listers = mount->listers,
        .staging = mount->staging,
        .journal = mount->journal,
        .max_file_size = options->max_file_size,
        .uid = (uid_t)options->uid,
        .gid = (gid_t)options->gid,
        .umask = (mode_t)options->umask,
        .trust_ms = options->consistency.trust_ms,
        .trust_opens = options->consistency.mode >= CONSISTENCY_TTL,
        .told = is_told(options),
        .outdated = outdated,
        .outdated_name = outdated_name,
        .outdated_context = mount,
        .cluster_locks = options->locks == LOCKS_CLUSTER,
        .status = status,
        .status_context = mount,
    };
    return vfs_new(&config, &mount->vfs);
}

static void tell_ready(void *context) {
    struct mount *mount = context;
    mount->ready(mount->ready_context);
}

static void leave(void *context) {
    leaving_begin(((struct mount *)context)->leaving);
}

/* Once session_run() has returned, whoever is mounted there now may be another. */
static void leave_mountpoint(void *context) {
    struct mount *mount = context;
    if (atomic_load(&mount->serving) && session_is_mounted(mount->session))
        mountpoint_leave_behind(mount->options->mountpoint);
}

static bool keep(void *context) {
    struct mount *mount = context;
    lock_acquire(&mount->ending);
    bool kept = mount->settled || vfs_keep_unstored(mount->vfs);
    lock_release(&mount->ending);
    return kept;
}

/* Publishes what is left, which may need to read. */
static void settle(struct mount *mount) {
    if (mount->vfs)
        vfs_settle(mount->vfs);
    lock_acquire(&mount->ending);
    mount->settled = true;
    lock_release(&mount->ending);
}

static int open_session(struct mount *mount, char **ret_error) {
    const struct options *options = mount->options;
    cleanup_free char *shown = NULL;
    if (asprintf(&shown, "%s/%s.%s", mount->server->address, mount->server->database, options->bucket) < 0)
        return -ENOMEM;
    const char *flags = options->noexec && options->noatime ? "noexec,noatime"
                        : options->noexec                   ? "noexec"
                        : options->noatime                  ? "noatime"
                                                            : NULL;
    struct session_config config = {
        .mountpoint = options->mountpoint,
        .source = shown,
        .trust_ms = options->consistency.trust_ms,
        .trust_absence = options->consistency.mode >= CONSISTENCY_TTL,
        .read_only = options->read_only,
        .allow_other = options->allow_other,
        .cluster_locks = options->locks == LOCKS_CLUSTER,
        .flags = flags,
        .ready = tell_ready,
        .told = leave,
        .context = mount,
    };
    return session_new(&config, mount->vfs, &mount->session, ret_error);
}

static void tidy(void *context) {
    struct mount *mount = context;
    vfs_tidy(mount->vfs);
}

static void recover(void *context) {
    struct mount *mount = context;
    vfs_recover(mount->vfs);
}

enum { TIDY_TICKS_MOST = 60, RECOVER_TICKS = 2 };

/* As often as content becomes due, within reason. */
static unsigned choose_tidy_ticks(const struct options *options) {
    int64_t seconds = options->grace_ms / 1000;
    return seconds < STORE_KEEP_SECONDS ? STORE_KEEP_SECONDS : seconds > TIDY_TICKS_MOST ? TIDY_TICKS_MOST : seconds;
}

static void tick(void *context) {
    struct mount *mount = context;
    trim_tick(&mount->trim, budget_used(&mount->budget));
    if (!mount->staging)
        return;
    vfs_tick(mount->vfs);
    if (++mount->ticks % mount->tidy_ticks == 0)
        workers_submit(mount->chores, tidy, mount);
    if (mount->ticks % RECOVER_TICKS == 0)
        workers_submit(mount->chores, recover, mount);
}

/* In a thread of its own: no long work may make it late. */
static void keep_open(void *context) {
    struct mount *mount = context;
    if (++mount->keep_ticks % STORE_KEEP_SECONDS == 0)
        vfs_keep_open(mount->vfs);
}

static int start_tickers(struct mount *mount) {
    mount->tidy_ticks = choose_tidy_ticks(mount->options);
    mount->ticker = ticker_new(tick, mount);
    if (mount->staging)
        mount->keeper = ticker_new(keep_open, mount);
    return mount->ticker && (mount->keeper || !mount->staging) ? 0 : -ENOMEM;
}

static int watch_the_end(struct mount *mount) {
    struct leaving_config config = {.silent_ms = LEAVE_SILENT_MS,
                                    .kept_ms = LEAVE_KEPT_MS,
                                    .timeout_ms = mount->options->timeout_ms,
                                    .unmount = leave_mountpoint,
                                    .keep = keep,
                                    .context = mount,
                                    .kept_in = mount->folder.path};
    mount->leaving = leaving_new(&config);
    return mount->leaving ? 0 : -ENOMEM;
}

/* Staged files beyond the memory hold a descriptor each; a full disk is to be an error, not a signal. */
static void prepare_process(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGXFSZ, SIG_IGN);
    mallopt(M_ARENA_MAX, 2); /* content is allocated in one thread and freed in another */
}

int mount_open(const struct options *options, void (*ready)(void *context), void *context, struct mount **ret_mount,
               char **ret_error) {
    struct mount *mount = calloc(1, sizeof *mount);
    if (!mount)
        return -ENOMEM;
    prepare_process();
    lock_init(&mount->ending, LOCK_MOUNT);
    mount->options = options;
    mount->started = time(NULL);
    mount->ready = ready;
    mount->ready_context = context;
    int result = open_server(mount, ret_error);
    if (result == 0)
        result = open_layers(mount, ret_error);
    if (result == 0)
        result = open_session(mount, ret_error);
    if (result == 0)
        result = start_tickers(mount);
    if (result == 0)
        result = watch_the_end(mount);
    if (result) {
        mount_close(mount);
    } else {
        workers_submit(mount->chores, recover, mount);
        start_watching(mount);
        workers_submit(mount->chores, look_around, mount);
        *ret_mount = mount;
    }
    return result;
}

int mount_serve(struct mount *mount) {
    atomic_store(&mount->serving, true);
    mount->result = session_run(mount->session);
    atomic_store(&mount->serving, false);
    vfs_check(mount->vfs);
    chunks_check(mount->chunks);
    return mount->result;
}

struct mount *mount_close(struct mount *mount) {
    if (!mount)
        return NULL;
    if (mount->leaving)
        leaving_begin(mount->leaving);
    if (mount->watched)
        mount->watched->ops->unwatch(mount->watched);
    session_free(mount->session);
    ticker_stop(mount->ticker);
    ticker_stop(mount->keeper);
    if (mount->vfs)
        vfs_stop_recovering(mount->vfs);
    workers_free(mount->chores);
    settle(mount);
    vfs_free(mount->vfs);
    if (mount->chunks)
        chunks_stop(mount->chunks);
    workers_free(mount->listers);
    workers_free(mount->fetchers);
    chunks_free(mount->chunks);
    staging_free(mount->staging);
    journal_free(mount->journal);
    staging_folder_close(&mount->folder);
    if (mount->server)
        mount->server->ops->settle(mount->server);
    if (mount->leaving)
        leaving_last(mount->leaving, mount->result ? EXIT_FAILURE : EXIT_SUCCESS);
    if (mount->server)
        mount->server->ops->free(mount->server);
    leaving_free(mount->leaving);
    lock_done(&mount->ending);
    free(mount);
    return NULL;
}
