#include "tests/bench/load_wire.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/bytes.h"

enum kind { KIND_OTHER, KIND_STRING, KIND_ARRAY, KIND_MAP };

struct item {
    enum kind kind;
    struct slice string;
    uint32_t count; /* of array and map */
    bool is_true;
};

struct reader {
    const uint8_t *p;
    const uint8_t *end;
    int error; /* -EAGAIN: more bytes are needed; -EBADMSG */
};

static const uint8_t *take(struct reader *reader, size_t n)
{
    const uint8_t *p = reader->p;

    if (reader->error != 0)
        return NULL;
    if ((size_t)(reader->end - p) < n) {
        reader->error = -EAGAIN;
        return NULL;
    }
    reader->p += n;
    return p;
}

/* A length of 1, 2 or 4 bytes. */
static uint32_t take_length(struct reader *reader, unsigned bytes)
{
    const uint8_t *p = take(reader, bytes);
    uint32_t v = 0;
    unsigned i;

    for (i = 0; p != NULL && i < bytes; i++)
        v = v << 8 | p[i];
    return v;
}

static void read_string(struct reader *reader, size_t n, struct item *item)
{
    const uint8_t *p = take(reader, n);

    item->kind = KIND_STRING;
    if (p != NULL)
        item->string = slice_of(p, n);
}

/* One head, with the bytes of a string; only the types that a server's words are made of. */
static struct item read_item(struct reader *reader)
{
    struct item item = {.kind = KIND_OTHER};
    const uint8_t *head = take(reader, 1);

    if (head == NULL)
        return item;
    if (*head >= 0xa0 && *head <= 0xbf) {
        read_string(reader, *head & 0x1f, &item);
    } else if (*head >= 0xd9 && *head <= 0xdb) {
        read_string(reader, take_length(reader, 1u << (*head - 0xd9)), &item);
    } else if (*head >= 0xc4 && *head <= 0xc6) {
        read_string(reader, take_length(reader, 1u << (*head - 0xc4)), &item);
    } else if ((*head & 0xf0) == 0x90 || (*head & 0xf0) == 0x80) {
        item.kind = (*head & 0xf0) == 0x90 ? KIND_ARRAY : KIND_MAP;
        item.count = *head & 0x0f;
    } else if (*head == 0xc2 || *head == 0xc3) {
        item.is_true = *head == 0xc3;
    } else if (*head > 0x7f && *head != 0xc0) {
        reader->error = -EBADMSG;
    }
    return item;
}

static ssize_t finish(const struct reader *reader, struct slice in)
{
    if (reader->error == -EAGAIN)
        return 0;
    if (reader->error != 0)
        return reader->error;
    return reader->p - in.p;
}

/* Takes an item and requires its kind. */
static struct item expect(struct reader *reader, enum kind kind)
{
    struct item item = read_item(reader);

    if (reader->error == 0 && item.kind != kind)
        reader->error = -EBADMSG;
    return item;
}

ssize_t load_wire_ack(struct slice in, struct slice *ret_id)
{
    struct reader reader = {in.p, in.p + in.n, 0};
    struct item map = expect(&reader, KIND_MAP);
    struct item key = expect(&reader, KIND_STRING);
    struct item id = expect(&reader, KIND_STRING);

    if (reader.error == 0 && (map.count != 1 || !slice_is(key.string, "ack")))
        return -EBADMSG;
    if (reader.error == 0)
        *ret_id = id.string;
    return finish(&reader, in);
}

ssize_t load_wire_helo(struct slice in, struct load_handshake *hs)
{
    struct reader reader = {in.p, in.p + in.n, 0};
    struct item array = expect(&reader, KIND_ARRAY);
    struct item word = expect(&reader, KIND_STRING);
    struct item map = expect(&reader, KIND_MAP);
    struct slice nonce = {0};
    uint32_t i;

    if (reader.error == 0 && (array.count != 2 || !slice_is(word.string, "HELO")))
        return -EBADMSG;
    for (i = 0; reader.error == 0 && i < map.count; i++) {
        struct item key = expect(&reader, KIND_STRING);
        struct item value = read_item(&reader);

        if (reader.error == 0 && slice_is(key.string, "nonce"))
            nonce = value.string;
    }
    if (reader.error == 0) {
        if (nonce.n == 0 || nonce.n > LOAD_NONCE_MAX)
            return -EBADMSG;
        memcpy(hs->nonce, nonce.p, nonce.n);
        hs->nonce_bytes = nonce.n;
    }
    return finish(&reader, in);
}

/* hex(SHA512(salt + name + nonce + key)), protocols of the forward handshake. */
static void digest(const struct load_handshake *hs, struct slice name, char *out)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[64];
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    unsigned i;

    EVP_DigestInit_ex(md, EVP_sha512(), NULL);
    EVP_DigestUpdate(md, hs->salt, sizeof(hs->salt));
    EVP_DigestUpdate(md, name.p, name.n);
    EVP_DigestUpdate(md, hs->nonce, hs->nonce_bytes);
    EVP_DigestUpdate(md, hs->shared_key, strlen(hs->shared_key));
    EVP_DigestFinal_ex(md, sum, NULL);
    EVP_MD_CTX_free(md);
    for (i = 0; i < sizeof(sum); i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
}

static size_t put_string(uint8_t *out, const void *p, size_t n)
{
    out[0] = 0xd9;
    out[1] = (uint8_t)n;
    memcpy(out + 2, p, n);
    return n + 2;
}

size_t load_wire_ping(const struct load_handshake *hs, uint8_t *out)
{
    char hex[LOAD_DIGEST_BYTES];
    size_t n = 0;

    digest(hs, slice_string(hs->self), hex);
    out[n++] = 0x96;
    n += put_string(out + n, "PING", 4);
    n += put_string(out + n, hs->self, strlen(hs->self));
    n += put_string(out + n, hs->salt, sizeof(hs->salt));
    n += put_string(out + n, hex, sizeof(hex));
    n += put_string(out + n, "", 0);
    n += put_string(out + n, "", 0);
    return n;
}

ssize_t load_wire_pong(struct slice in, const struct load_handshake *hs)
{
    struct reader reader = {in.p, in.p + in.n, 0};
    struct item array = expect(&reader, KIND_ARRAY);
    struct item word = expect(&reader, KIND_STRING);
    struct item verdict = read_item(&reader);
    struct item reason = expect(&reader, KIND_STRING);
    struct item name = expect(&reader, KIND_STRING);
    struct item proof = expect(&reader, KIND_STRING);
    char hex[LOAD_DIGEST_BYTES];

    (void)reason;
    if (reader.error != 0)
        return finish(&reader, in);
    if (array.count != 5 || !slice_is(word.string, "PONG"))
        return -EBADMSG;
    if (!verdict.is_true)
        return -EACCES;
    digest(hs, name.string, hex);
    if (!slice_equal(proof.string, slice_of(hex, sizeof(hex))))
        return -EACCES;
    return reader.p - in.p;
}
