/* SPDX-License-Identifier: MIT */
/* A response without an end: a feed's issues, sent on one connection as they come. */
#include "exchange_stream.h"

#include <sys/socket.h>

#include "listener_events.h"

/* What the kernel keeps of a stream that its client does not read (twice that, in Linux). Without this limit it would take
 * megabytes, and the client would find all that is old in them before anything new. */
enum { SEND_BUFFER_BYTES = 16 << 10 };

/* How much is asked of the feed at once. */
enum { BLOCK_BYTES = 16 << 10 };

static void suspend(void *arg)
{
    struct stream *stream = arg;

    reaper_move(stream->reaper, stream->conn, CONN_STREAM);
    MHD_suspend_connection(stream->connection);
}

static void resume(void *arg)
{
    struct stream *stream = arg;

    event_thread_resume(stream->events, stream->connection);
}

/* MHD_ContentReaderCallback; called again only when the kernel took all it gave before. */
static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t size)
{
    struct stream *stream = arg;
    const struct feed_sleeper sleeper = {suspend, resume, stream};
    bool begins;
    ssize_t got = feed_read(stream->reader, &sleeper, out, size, &begins);

    (void)position;
    if (got == FEED_OVER)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (got > 0 && begins)
        reaper_move(stream->reaper, stream->conn, CONN_STREAM_WRITE);
    stream->bytes += (uint64_t)got;
    return got;
}

struct MHD_Response *stream_response(struct stream *stream)
{
    const int bytes = SEND_BUFFER_BYTES;

    setsockopt(stream->conn->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, read_stream, stream,
                                             NULL);
}
