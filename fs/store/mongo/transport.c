// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/transport.h"

#include <string.h>

/* The driver's, which is not in its headers; where a version keeps it to itself, its transport is used as it is. */
extern mongoc_stream_t *mongoc_client_default_stream_initiator(const mongoc_uri_t *uri, const mongoc_host_list_t *host,
                                                               void *client, bson_error_t *error) __attribute__((weak));
/* From 2.0 on the driver logs an error when a client of a pool is given one by the function in its headers. */
extern void _mongoc_client_set_stream_initiator_single_or_pooled(mongoc_client_t *client, mongoc_stream_initiator_t initiator,
                                                                 void *data) __attribute__((weak));

struct transport {
    mongoc_stream_t stream; /* first: the driver knows no more */
    mongoc_stream_t *below; /* the driver's own; nothing is read through it, so its buffer stays empty */
    mongoc_stream_t *raw;   /* what that reads from */
    size_t start, end;      /* of what is buffered and was not asked for yet */
    unsigned char buffer[TRANSPORT_BUFFER];
};

static struct transport *transport_of(mongoc_stream_t *stream) {
    return (struct transport *)(void *)stream;
}

static mongoc_stream_t *below(mongoc_stream_t *stream) {
    return transport_of(stream)->below;
}

static void destroy(mongoc_stream_t *stream) {
    mongoc_stream_destroy(below(stream));
    bson_free(stream);
}

static int close_below(mongoc_stream_t *stream) {
    return mongoc_stream_close(below(stream));
}

static int flush(mongoc_stream_t *stream) {
    return mongoc_stream_flush(below(stream));
}

static ssize_t write_below(mongoc_stream_t *stream, mongoc_iovec_t *iov, size_t count, int32_t timeout_ms) {
    return mongoc_stream_writev(below(stream), iov, count, timeout_ms);
}

static bool check_closed(mongoc_stream_t *stream) {
    return mongoc_stream_check_closed(below(stream));
}

static bool timed_out(mongoc_stream_t *stream) {
    return mongoc_stream_timed_out(below(stream));
}

static bool should_retry(mongoc_stream_t *stream) {
    return mongoc_stream_should_retry(below(stream));
}

/* Up to `size` bytes of what is buffered. */
static size_t take(struct transport *transport, unsigned char *to, size_t size) {
    size_t there = transport->end - transport->start, taken = size < there ? size : there;
    if (taken)
        memcpy(to, transport->buffer + transport->start, taken);
    transport->start += taken;
    return taken;
}

/* `size` bytes, all of them. */
static bool read_all(struct transport *transport, unsigned char *to, size_t size, int32_t timeout_ms) {
    size_t taken = take(transport, to, size), left = size - taken;
    if (left >= TRANSPORT_BUFFER)
        return mongoc_stream_read(transport->raw, to + taken, left, left, timeout_ms) == (ssize_t)left;
    if (!left)
        return true;
    ssize_t got = mongoc_stream_read(transport->raw, transport->buffer, TRANSPORT_BUFFER, left, timeout_ms);
    transport->start = 0;
    transport->end = got > 0 ? (size_t)got : 0;
    return take(transport, to + taken, left) == left;
}

/* As the driver's, all that is asked for or nothing, whatever the least is. */
static ssize_t read_from(mongoc_stream_t *stream, mongoc_iovec_t *iov, size_t count, size_t least, int32_t timeout_ms) {
    ssize_t total = 0;
    (void)least;
    for (size_t i = 0; i < count; i++) {
        if (!read_all(transport_of(stream), iov[i].iov_base, iov[i].iov_len, timeout_ms))
            return -1;
        total += (ssize_t)iov[i].iov_len;
    }
    return total;
}

static mongoc_stream_t *open_stream(const mongoc_uri_t *uri, const mongoc_host_list_t *host, void *client,
                                    bson_error_t *error) {
    mongoc_stream_t *below_it = mongoc_client_default_stream_initiator(uri, host, client, error);
    mongoc_stream_t *raw = below_it ? mongoc_stream_get_base_stream(below_it) : NULL;
    bool is_socket = raw && mongoc_stream_get_base_stream(raw) == raw;
    if (!raw || (is_socket && mongoc_uri_get_tls(uri))) /* not buffered, as by TLS from 2.5 on: just as well */
        return below_it;
    struct transport *transport = bson_malloc0(sizeof *transport);
    transport->below = below_it;
    transport->raw = raw;
    transport->stream = (mongoc_stream_t){.destroy = destroy,
                                          .failed = destroy,
                                          .close = close_below,
                                          .flush = flush,
                                          .writev = write_below,
                                          .readv = read_from,
                                          .get_base_stream = below,
                                          .check_closed = check_closed,
                                          .timed_out = timed_out,
                                          .should_retry = should_retry};
    return &transport->stream;
}

void transport_use(mongoc_client_t *client) {
    if (!mongoc_client_default_stream_initiator)
        return;
    if (_mongoc_client_set_stream_initiator_single_or_pooled)
        _mongoc_client_set_stream_initiator_single_or_pooled(client, open_stream, client);
    else if (!MONGOC_CHECK_VERSION(2, 0, 0))
        mongoc_client_set_stream_initiator(client, open_stream, client);
}
