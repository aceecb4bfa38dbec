// SPDX-License-Identifier: Apache-2.0
#include "fs/bind_private.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/pages.h"
#include "cache/base/stats.h"
#include "cache/chunks.h"
#include "cache/journal.h"
#include "cache/staging.h"
#include "fs/disk_tier.h"
#include "fs/fuse/session.h"
#include "fs/housekeeping.h"
#include "fs/monitor.h"
#include "fs/porter.h"
#include "fs/staging_folder.h"
#include "fs/store/mongo/server.h"
#include "fs/store_source.h"
#include "fs/vfs/vfs.h"
#include "fs/warming.h"

enum { FETCHES_QUEUED = 128, LISTERS = 2, LISTS_QUEUED = 32, UPLOADERS = 4, UPLOADS_QUEUED = 16 };
enum { WAITING_FILES_MOST = 1000 };

/* ---- what is looked at while the mount comes up, and serves ---- */

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
    struct store *store;
    const char *bucket = mount->options->bucket;
    if (strcmp(bucket, "*") != 0 && mount->server->ops->bucket(mount->server, bucket, &store) == 0)
        (void)store->ops->survey(store);
    if (!mount->options->create_indexes)
        (void)check_indexes(mount, false);
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

/* By which its lines are found. */
static void name_log(const struct mount *mount) {
    log_add_field("GRIDMOUNT_MOUNTPOINT", mount->options->mountpoint);
    log_add_field("GRIDMOUNT_SERVER", mount->server->address);
    log_add_field("GRIDMOUNT_DATABASE", mount->server->database);
    log_add_field("GRIDMOUNT_BUCKET", mount->options->bucket);
}

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
                                   .trash_max = options->trash_max,
                                   .budget = &mount->budget};
    int result = server_open(&config, &mount->server, ret_error);
    if (result == 0)
        name_log(mount);
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

/* One that was spilled has a descriptor open while it waits. */
static unsigned choose_waiting_files(void) {
    struct rlimit files;
    rlim_t quarter = getrlimit(RLIMIT_NOFILE, &files) ? 0 : files.rlim_cur / 4;
    return quarter < WAITING_FILES_MOST ? (unsigned)quarter : WAITING_FILES_MOST;
}

static int start_workers(struct mount *mount) {
    mount->fetchers = workers_new(CHUNKS_WORKERS, FETCHES_QUEUED);
    mount->listers = workers_new(LISTERS, LISTS_QUEUED);
    mount->chores = workers_new(1, 8);
    bool writeback = mount->options->writeback && mount->staging;
    if (writeback)
        mount->uploaders = workers_new(UPLOADERS, UPLOADS_QUEUED);
    return mount->fetchers && mount->listers && mount->chores && (mount->uploaders || !writeback) ? 0 : -ENOMEM;
}

/* Memory that was freed and is kept for the next is a part of what the user allows. */
static size_t for_content(int64_t cache_size) {
    return (size_t)(cache_size - (cache_size / 4 < PAGES_IDLE ? cache_size / 4 : PAGES_IDLE));
}

static int open_layers(struct mount *mount, char **ret_error) {
    const struct options *options = mount->options;
    int result = open_staging(mount, ret_error);
    if (result == 0)
        result = disk_tier_open(options, mount->server, &store_source, &mount->disk, ret_error);
    if (result == 0)
        result = start_workers(mount);
    if (result)
        return result;
    struct chunk_source tiers = mount->disk ? disk_source(mount->disk) : store_source;
    if (mount->server->ops->round_trip_ms)
        tiers.round_trip_ms = mount->server->ops->round_trip_ms(mount->server);
    mount->chunks = chunks_new(&mount->budget, &tiers, mount->fetchers);
    if (!mount->chunks)
        return -ENOMEM;
    const struct user *user = &options->serves_as; /* root gets in anyway, and may say by uid= whose it is */
    struct vfs_config config = {
        .server = mount->server,
        .bucket = options->bucket,
        .chunks = mount->chunks,
        .listers = mount->listers,
        .staging = mount->staging,
        .journal = mount->journal,
        .uploaders = mount->uploaders,
        .writeback = mount->uploaders != NULL,
        .waiting_files = choose_waiting_files(),
        .waiting_bytes = (uint64_t)options->writeback_max,
        .max_file_size = options->max_file_size,
        .uid = (uid_t)options->uid,
        .gid = (gid_t)options->gid,
        .umask = (mode_t)options->umask,
        .owner = user->uid ? user->uid : (uid_t)options->uid,
        .owner_group = user->uid ? user->gid : (gid_t)options->gid,
        .trust_ms = options->consistency.trust_ms,
        .trust_opens = options->consistency.mode >= CONSISTENCY_TTL,
        .shows_control = options->shows_control,
        .recalls = options->consistency.mode != CONSISTENCY_STRICT && !options->hard,
        .told = is_told(options),
        .outdated = outdated,
        .outdated_name = outdated_name,
        .outdated_context = mount,
        .verify = options->verify,
        .cluster_locks = options->locks == LOCKS_CLUSTER,
        .text = mount_text,
        .text_context = mount,
    };
    return vfs_new(&config, &mount->vfs);
}

static void tell_ready(void *context) {
    struct mount *mount = context;
    mount->ready(mount->ready_context);
    if (mount->warming)
        warming_begin(mount->warming);
}

static int complain_of_porter(int result, char **ret_error) {
    if (asprintf(ret_error, "cannot mount: %s; start the container with --device /dev/fuse --cap-add SYS_ADMIN",
                 strerror(-result)) < 0)
        *ret_error = NULL;
    return result;
}

static int open_session(struct mount *mount, char **ret_error) {
    const struct options *options = mount->options;
    cleanup_free char *shown = NULL;
    int device = options->device;
    if (asprintf(&shown, "%s/%s.%s", mount->server->address, mount->server->database, options->bucket) < 0)
        return -ENOMEM;
    int result = mount->porter ? porter_mount(mount->porter, shown, &device) : 0;
    if (result)
        return complain_of_porter(result, ret_error);
    const char *flags = options->noexec && options->noatime ? "noexec,noatime"
                        : options->noexec                   ? "noexec"
                        : options->noatime                  ? "noatime"
                                                            : NULL;
    struct session_config config = {
        .mountpoint = options->mountpoint,
        .device = device,
        .trace = options->trace_to,
        .source = shown,
        .trust_ms = options->consistency.trust_ms,
        .trust_absence = options->consistency.mode >= CONSISTENCY_TTL,
        .read_only = options->read_only,
        .allow_other = options->allow_other,
        .cluster_locks = options->locks == LOCKS_CLUSTER,
        .passes = mount->disk && options->read_only && options->locks != LOCKS_CLUSTER,
        .hard = options->hard,
        .flags = flags,
        .ready = tell_ready,
        .told = mount_leave,
        .context = mount,
    };
    return session_new(&config, mount->vfs, &mount->session, ret_error);
}

static int start_housekeeping(struct mount *mount) {
    const struct housekeeping_config config = {.vfs = mount->vfs,
                                               .server = mount->server,
                                               .budget = &mount->budget,
                                               .disk = mount->disk,
                                               .chores = mount->chores,
                                               .changes = mount->staging != NULL,
                                               .grace_ms = mount->options->grace_ms};
    mount->housekeeping = housekeeping_new(&config);
    return mount->housekeeping ? 0 : -ENOMEM;
}

static int prepare_warming(struct mount *mount) {
    const struct options *options = mount->options;
    int64_t memory = (int64_t)for_content(options->cache_size);
    const struct warming_config config = {.vfs = mount->vfs,
                                          .globs = options->warm,
                                          .disk = mount->disk,
                                          .memory = memory,
                                          .room = mount->disk ? options->cache_disk : memory};
    mount->warming = options->warm ? warming_new(&config) : NULL;
    return mount->warming || !options->warm ? 0 : -ENOMEM;
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

static int open_monitor(struct mount *mount, char **ret_error) {
    const char *address = mount->options->metrics_listen;
    int result = address ? monitor_new(address, &mount->monitor, ret_error) : 0;
    if (result == 0 && address && !(mount->page = monitor_page(mount->monitor)))
        result = -ENOMEM;
    return result;
}

static int start_monitor(struct mount *mount) {
    const struct monitor_config config = {.text = mount_told, .history = mount_history, .context = mount};
    return mount->monitor ? monitor_begin(mount->monitor, &config) : 0;
}

int mount_open(const struct options *options, struct porter *porter, void (*ready)(void *context), void *context,
               struct mount **ret_mount, char **ret_error) {
    struct mount *mount = calloc(1, sizeof *mount);
    if (!mount)
        return -ENOMEM;
    prepare_process();
    lock_init(&mount->ending, LOCK_MOUNT);
    mount->options = options;
    mount->porter = porter;
    mount->started = clock_now_ms() / 1000;
    mount->ready = ready;
    mount->ready_context = context;
    budget_init(&mount->budget, for_content(options->cache_size));
    int result = open_monitor(mount, ret_error);
    if (result == 0)
        result = open_server(mount, ret_error);
    if (result == 0)
        result = open_layers(mount, ret_error);
    if (result == 0)
        result = open_session(mount, ret_error);
    if (result == 0) /* before there are lookups that need it; who logs while it is mounted may be heard by nobody */
        (void)workers_submit(mount->chores, look_around, mount);
    if (result == 0)
        result = start_housekeeping(mount);
    if (result == 0)
        result = prepare_warming(mount);
    if (result == 0)
        result = mount_watch_the_end(mount);
    if (result == 0)
        result = start_monitor(mount);
    if (result) {
        mount_close(mount);
    } else {
        start_watching(mount);
        *ret_mount = mount;
    }
    return result;
}

bool mount_is_healthy(const struct mount *mount, time_t *ret_away_since) {
    *ret_away_since = housekeeping_away_since(mount->housekeeping);
    return mount->server->ops->healthy(mount->server);
}

int mount_serve(struct mount *mount) {
    lock_acquire(&mount->ending);
    mount->served = true;
    lock_release(&mount->ending);
    mount->result = session_run(mount->session);
    vfs_check(mount->vfs);
    chunks_check(mount->chunks);
    return mount->result;
}
