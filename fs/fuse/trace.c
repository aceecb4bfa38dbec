// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "fs/fuse/meter.h"
#include "fs/vfs/vfs.h"

struct trace {
    int fd;
    atomic_bool failed; /* and said so */
};

struct trace *trace_new(int fd) {
    struct trace *trace = calloc(1, sizeof *trace);
    if (trace)
        trace->fd = fd;
    else
        close(fd);
    return trace;
}

struct trace *trace_free(struct trace *trace) {
    if (trace)
        close(trace->fd);
    free(trace);
    return NULL;
}

/* ---- what is asked for ---- */

static void put_path(FILE *out, const char *path) {
    fputs(path && *path ? "" : path ? "/" : "-", out);
    for (const unsigned char *c = (const unsigned char *)(path ? path : ""); *c; c++)
        if (*c == '\t' || *c == '\n' || *c == '\\')
            fprintf(out, "\\%c", *c == '\t' ? 't' : *c == '\n' ? 'n' : '\\');
        else if (*c < ' ' || *c == 0x7f) /* which a terminal would obey */
            fprintf(out, "\\x%02x", *c);
        else
            fputc(*c, out);
}

static struct inode *inode_of(struct vfs *vfs, uint64_t number) {
    return number == FUSE_ROOT_ID ? vfs_root(vfs) : (struct inode *)(uintptr_t)number;
}

/* The first name behind the fixed part of a request; NULL: it has none. */
static const char *name_of(const struct fuse_in_header *head) {
    const char *body = (const char *)(head + 1);
    switch (head->opcode) {
    case FUSE_LOOKUP:
    case FUSE_UNLINK:
    case FUSE_RMDIR:
    case FUSE_SYMLINK:
        return body;
    case FUSE_MKNOD:
        return body + sizeof(struct fuse_mknod_in);
    case FUSE_MKDIR:
        return body + sizeof(struct fuse_mkdir_in);
    case FUSE_CREATE:
        return body + sizeof(struct fuse_create_in);
    case FUSE_LINK:
        return body + sizeof(struct fuse_link_in);
    case FUSE_RENAME:
        return body + sizeof(struct fuse_rename_in);
    case FUSE_RENAME2:
        return body + sizeof(struct fuse_rename2_in);
    default:
        return NULL;
    }
}

/* Where a rename goes, or what a link is another name of; to be freed, NULL: nowhere. */
static char *other_of(struct vfs *vfs, const struct fuse_in_header *head) {
    const void *body = head + 1;
    const char *name = name_of(head);
    switch (head->opcode) {
    case FUSE_RENAME:
        return vfs_path(vfs, inode_of(vfs, ((const struct fuse_rename_in *)body)->newdir), name + strlen(name) + 1);
    case FUSE_RENAME2:
        return vfs_path(vfs, inode_of(vfs, ((const struct fuse_rename2_in *)body)->newdir), name + strlen(name) + 1);
    case FUSE_LINK:
        return vfs_path(vfs, inode_of(vfs, ((const struct fuse_link_in *)body)->oldnodeid), NULL);
    default:
        return NULL;
    }
}

/* -1: there is no such. */
static void range_of(const struct fuse_in_header *head, int64_t *ret_offset, int64_t *ret_size) {
    const void *body = head + 1;
    *ret_offset = *ret_size = -1;
    if (head->opcode == FUSE_READ || head->opcode == FUSE_READDIR || head->opcode == FUSE_READDIRPLUS) {
        const struct fuse_read_in *read = body;
        *ret_offset = head->opcode == FUSE_READ ? (int64_t)read->offset : -1; /* of a directory it is a number of its own */
        *ret_size = read->size;
    } else if (head->opcode == FUSE_WRITE) {
        const struct fuse_write_in *write = body;
        *ret_offset = (int64_t)write->offset;
        *ret_size = write->size;
    } else if (head->opcode == FUSE_FALLOCATE) {
        const struct fuse_fallocate_in *allocate = body;
        *ret_offset = (int64_t)allocate->offset;
        *ret_size = (int64_t)allocate->length;
    } else if (head->opcode == FUSE_LSEEK) {
        *ret_offset = (int64_t)((const struct fuse_lseek_in *)body)->offset;
    } else if (head->opcode == FUSE_SETATTR && ((const struct fuse_setattr_in *)body)->valid & FATTR_SIZE) {
        *ret_size = (int64_t)((const struct fuse_setattr_in *)body)->size;
    } else if (head->opcode == FUSE_COPY_FILE_RANGE) {
        const struct fuse_copy_file_range_in *copy = body;
        *ret_offset = (int64_t)copy->off_in;
        *ret_size = (int64_t)copy->len;
    }
}

static void put_number(FILE *out, int64_t number) {
    if (number < 0)
        fputs("\t-", out);
    else
        fprintf(out, "\t%" PRId64, number);
}

static void put_time(FILE *out) {
    struct timespec now;
    struct tm parts;
    char date[32];
    clock_gettime(CLOCK_REALTIME, &now);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &parts));
    fprintf(out, "%s.%06ldZ", date, now.tv_nsec / 1000);
}

static void put_request(FILE *out, struct vfs *vfs, const struct fuse_in_header *head) {
    const char *operation = meter_name(head->opcode);
    cleanup_free char *path = head->nodeid ? vfs_path(vfs, inode_of(vfs, head->nodeid), name_of(head)) : NULL;
    cleanup_free char *other = other_of(vfs, head);
    int64_t offset, size;
    range_of(head, &offset, &size);
    put_time(out);
    fprintf(out, "\t%u\t%s\t", head->pid, operation ? operation : "other");
    put_path(out, path);
    if (other) {
        fputc('\t', out);
        put_path(out, other);
    } else {
        put_number(out, offset);
    }
    put_number(out, size);
}

char *trace_describe(struct trace *trace, struct vfs *vfs, const struct fuse_in_header *head) {
    char *text = NULL;
    size_t length;
    FILE *out = trace ? open_memstream(&text, &length) : NULL;
    if (!out)
        return NULL;
    put_request(out, vfs, head);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

/* ---- what comes of it ---- */

void trace_write(struct trace *trace, char *described, int64_t nanoseconds, int error) {
    cleanup_free char *start = described, *line = NULL;
    const char *result = error ? strerrorname_np(-error) : "OK";
    if (!trace || !described)
        return;
    int size = asprintf(&line, "%s\t%s\t%.6f\n", described, result ? result : "EIO", (double)nanoseconds / 1e9);
    if (size > 0 && write(trace->fd, line, (size_t)size) != size && !atomic_exchange(&trace->failed, true))
        log_warning("the trace has gaps: %s", strerror(errno));
}
