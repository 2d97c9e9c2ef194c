#include "tests/bench/sink_http.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* The line that starts at `at`, without its CRLF. False when its end is not there yet. */
static bool line_at(struct slice in, size_t at, struct slice *ret_line)
{
    const uint8_t *end = in.p != NULL && at < in.n ? memmem(in.p + at, in.n - at, "\r\n", 2) : NULL;

    if (end == NULL)
        return false;
    *ret_line = slice_of(in.p + at, (size_t)(end - in.p) - at);
    return true;
}

static bool equals(struct slice text, const char *word)
{
    return text.n == strlen(word) && strncasecmp((const char *)text.p, word, text.n) == 0;
}

static bool parse_length(struct slice text, unsigned base, uint64_t *ret_value)
{
    uint64_t v = 0;
    size_t i;

    for (i = 0; i < text.n; i++) {
        unsigned c = text.p[i] | 0x20;
        unsigned digit = c >= 'a' && c <= 'f' ? c - 'a' + 10 : (unsigned)text.p[i] - '0';

        if (digit >= base || v >> 56 != 0)
            return false;
        v = v * base + digit;
    }
    *ret_value = v;
    return text.n > 0;
}

static enum sink_encoding encoding_of(struct slice value)
{
    if (equals(value, "identity"))
        return SINK_IDENTITY;
    if (equals(value, "gzip"))
        return SINK_GZIP;
    return equals(value, "zstd") ? SINK_ZSTD : SINK_UNKNOWN;
}

static int take_header(struct slice line, struct sink_head *head)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    struct slice name;
    struct slice value;

    if (colon == NULL)
        return -EBADMSG;
    name = slice_of(line.p, (size_t)(colon - line.p));
    value = slice_of(colon + 1, line.n - name.n - 1);
    while (value.n > 0 && value.p[0] == ' ')
        value = slice_of(value.p + 1, value.n - 1);
    while (value.n > 0 && value.p[value.n - 1] == ' ')
        value.n--;

    if (equals(name, "content-length"))
        return parse_length(value, 10, &head->content_length) ? 0 : -EBADMSG;
    if (equals(name, "transfer-encoding"))
        head->is_chunked = equals(value, "chunked");
    else if (equals(name, "content-encoding"))
        head->encoding = encoding_of(value);
    else if (equals(name, "content-type"))
        head->is_protobuf = equals(value, "application/x-protobuf");
    else if (equals(name, "expect"))
        head->expects_continue = equals(value, "100-continue");
    else if (equals(name, "connection"))
        head->closes = equals(value, "close");
    return 0;
}

static int take_request_line(struct slice line, struct sink_head *head)
{
    const uint8_t *path = memchr(line.p, ' ', line.n);
    const uint8_t *end;
    size_t n;

    if (path == NULL)
        return -EBADMSG;
    path++;
    end = memchr(path, ' ', line.n - (size_t)(path - line.p));
    if (end == NULL)
        return -EBADMSG;
    n = (size_t)(end - path);
    if (n >= sizeof(head->path) ||
        !equals(slice_of(end + 1, line.n - (size_t)(end + 1 - line.p)), "HTTP/1.1"))
        return -EBADMSG;
    memcpy(head->path, path, n);
    head->is_post = line.n > 5 && memcmp(line.p, "POST ", 5) == 0;
    return 0;
}

ssize_t sink_http_head(struct slice in, struct sink_head *ret_head)
{
    struct sink_head head = {0};
    struct slice line;
    size_t at = 0;
    int r;

    if (memmem(in.p, in.n, "\r\n\r\n", 4) == NULL)
        return in.n > SINK_HEAD_MAX ? -EBADMSG : 0;
    line_at(in, at, &line);
    r = take_request_line(line, &head);
    at += line.n + 2;
    while (r == 0 && line_at(in, at, &line)) {
        at += line.n + 2;
        if (line.n == 0)
            break;
        r = take_header(line, &head);
    }
    if (r < 0)
        return r;
    *ret_head = head;
    return (ssize_t)at;
}

static ssize_t take_size_line(struct sink_chunks *chunks, struct slice in)
{
    struct slice line;
    const uint8_t *extension;
    size_t whole;

    if (!line_at(in, 0, &line))
        return in.n > 256 ? -EBADMSG : 0;
    whole = line.n + 2;
    extension = memchr(line.p, ';', line.n);
    if (extension != NULL)
        line.n = (size_t)(extension - line.p);
    if (!parse_length(line, 16, &chunks->left))
        return -EBADMSG;
    chunks->state = chunks->left > 0 ? CHUNK_DATA : CHUNK_TRAILER;
    return (ssize_t)whole;
}

static ssize_t take_data(struct sink_chunks *chunks, struct slice in, struct buf *body)
{
    size_t n = in.n < chunks->left ? in.n : (size_t)chunks->left;
    int r = buf_append(body, in.p, n);

    if (r < 0)
        return r;
    chunks->left -= n;
    if (chunks->left == 0)
        chunks->state = CHUNK_DATA_END;
    return (ssize_t)n;
}

/* An empty line after data, or a line of the trailer, which an empty one ends. */
static ssize_t take_line(struct sink_chunks *chunks, struct slice in)
{
    struct slice line;

    if (!line_at(in, 0, &line))
        return in.n > SINK_HEAD_MAX ? -EBADMSG : 0;
    if (chunks->state == CHUNK_DATA_END && line.n != 0)
        return -EBADMSG;
    if (chunks->state == CHUNK_DATA_END)
        chunks->state = CHUNK_SIZE;
    else if (line.n == 0)
        chunks->state = CHUNK_DONE;
    return (ssize_t)line.n + 2;
}

ssize_t sink_http_dechunk(struct sink_chunks *chunks, struct slice in, struct buf *body)
{
    size_t at = 0;

    while (chunks->state != CHUNK_DONE && at < in.n) {
        struct slice rest = slice_of(in.p + at, in.n - at);
        ssize_t n;

        if (chunks->state == CHUNK_SIZE)
            n = take_size_line(chunks, rest);
        else if (chunks->state == CHUNK_DATA)
            n = take_data(chunks, rest, body);
        else
            n = take_line(chunks, rest);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    return (ssize_t)at;
}
