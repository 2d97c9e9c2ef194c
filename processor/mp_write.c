#include "processor/mp_write.h"

#include "processor/mp_encode.h"

/* Where the next value goes, with room for n bytes; NULL where there is none. */
static uint8_t *room(struct mp_writer *w, size_t n)
{
    if (w->failed)
        return NULL;
    if (buf_reserve(w->buf, n) < 0) {
        w->failed = true;
        return NULL;
    }
    return w->buf->p + w->buf->n;
}

static void written(struct mp_writer *w, const uint8_t *end)
{
    w->buf->n = (size_t)(end - w->buf->p);
}

static void put_byte(struct mp_writer *w, uint8_t byte)
{
    uint8_t *to = room(w, 1);

    if (to == NULL)
        return;
    *to = byte;
    written(w, to + 1);
}

void mp_put_nil(struct mp_writer *w)
{
    put_byte(w, MP_ENCODE_NIL);
}

void mp_put_bool(struct mp_writer *w, bool v)
{
    put_byte(w, v ? MP_ENCODE_TRUE : MP_ENCODE_FALSE);
}

void mp_put_uint(struct mp_writer *w, uint64_t v)
{
    uint8_t *to = room(w, MP_ENCODE_MAX_BYTES);

    if (to != NULL)
        written(w, mp_encode_uint(to, v));
}

void mp_put_int(struct mp_writer *w, int64_t v)
{
    uint8_t *to = room(w, MP_ENCODE_MAX_BYTES);

    if (to != NULL)
        written(w, mp_encode_int(to, v));
}

void mp_put_float(struct mp_writer *w, double v)
{
    uint8_t *to = room(w, MP_ENCODE_MAX_BYTES);

    if (to != NULL)
        written(w, mp_encode_float(to, v));
}

void mp_put_str(struct mp_writer *w, struct slice text)
{
    uint8_t *to;

    if (text.n > UINT32_MAX) {
        w->failed = true;
        return;
    }
    to = room(w, MP_ENCODE_MAX_BYTES + text.n);
    if (to == NULL)
        return;
    to = mp_encode_str(to, (uint32_t)text.n);
    if (text.n > 0)
        memcpy(to, text.p, text.n);
    written(w, to + text.n);
}

/*
 * The head has the width that max_bytes needs, and a length of zero, by which mp_str_end knows the
 * width again: the last byte before the content is not 0 only in the shortest form.
 */
size_t mp_str_begin(struct mp_writer *w, size_t max_bytes)
{
    uint8_t *to;

    if (max_bytes > UINT32_MAX)
        w->failed = true;
    to = room(w, MP_ENCODE_MAX_BYTES);
    if (to == NULL)
        return 0;
    if (max_bytes < 32) {
        *to = MP_ENCODE_FIXSTR;
        to += 1;
    } else if (max_bytes <= UINT8_MAX) {
        to = mp_encode_8(to, MP_ENCODE_STR8, 0);
    } else if (max_bytes <= UINT16_MAX) {
        to = mp_encode_16(to, MP_ENCODE_STR16, 0);
    } else {
        to = mp_encode_32(to, MP_ENCODE_STR32, 0);
    }
    written(w, to);
    return w->buf->n;
}

void mp_put_raw(struct mp_writer *w, const void *p, size_t n)
{
    uint8_t *to = room(w, n);

    if (to == NULL || n == 0)
        return;
    memcpy(to, p, n);
    written(w, to + n);
}

void mp_str_end(struct mp_writer *w, size_t content)
{
    uint8_t *to;
    size_t n, most;

    if (w->failed)
        return;
    to = w->buf->p + content;
    n = w->buf->n - content;
    if (to[-1] == MP_ENCODE_FIXSTR) {
        most = 31;
        to[-1] = (uint8_t)(MP_ENCODE_FIXSTR | n);
    } else if (to[-2] == MP_ENCODE_STR8) {
        most = UINT8_MAX;
        to[-1] = (uint8_t)n;
    } else if (to[-3] == MP_ENCODE_STR16) {
        most = UINT16_MAX;
        bytes_put_be16(to - 2, (uint16_t)n);
    } else {
        most = UINT32_MAX;
        bytes_put_be32(to - 4, (uint32_t)n);
    }
    if (n > most) /* more than the caller said at the beginning */
        w->failed = true;
}

static size_t container_begin(struct mp_writer *w, uint8_t type)
{
    uint8_t *to = room(w, MP_ENCODE_MAX_BYTES);

    if (to == NULL)
        return 0;
    written(w, mp_encode_32(to, type, 0));
    return w->buf->n;
}

/* An empty one takes a byte; others keep the width that was set aside for them. */
static void container_end(struct mp_writer *w, size_t mark, uint32_t count, uint8_t empty)
{
    uint8_t *content;

    if (w->failed)
        return;
    content = w->buf->p + mark;
    if (count == 0) {
        content[-5] = empty;
        written(w, content - 4);
        return;
    }
    bytes_put_be32(content - 4, count);
}

size_t mp_array_begin(struct mp_writer *w)
{
    return container_begin(w, MP_ENCODE_ARRAY32);
}

void mp_array_end(struct mp_writer *w, size_t mark, uint32_t count)
{
    container_end(w, mark, count, MP_ENCODE_FIXARRAY);
}

size_t mp_map_begin(struct mp_writer *w)
{
    return container_begin(w, MP_ENCODE_MAP32);
}

void mp_map_end(struct mp_writer *w, size_t mark, uint32_t pairs)
{
    container_end(w, mark, pairs, MP_ENCODE_FIXMAP);
}

void mp_put_pair(struct mp_writer *w, const char *key, struct slice text)
{
    mp_put_str(w, slice_string(key));
    mp_put_str(w, text);
    if (!w->failed)
        w->pairs++;
}
