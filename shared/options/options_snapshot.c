/*
 * options_snapshot: the options that one role may see, as bytes for its control socket. The layout
 * is in options.h.
 */
#include "shared/options/options_internal.h"

#include <errno.h>
#include <string.h>

#include "shared/base/bytes.h"

#define SNAPSHOT_MAGIC 0x31504f53u /* "SOP1" */
#define SNAPSHOT_VERSION 1u

static bool is_for(enum option_id id, unsigned role)
{
    return (option_roles(id) & role) != 0 && !option_is_secret(id);
}

static int put_u32(struct buf *buf, uint32_t value)
{
    uint8_t bytes[4];

    bytes_put_le32(bytes, value);
    return buf_append(buf, bytes, sizeof(bytes));
}

static int put_option(struct buf *buf, const struct options *options, enum option_id id)
{
    const char *path = option_path(id);
    char text[64];
    const char *value = options_show(options, id, text, sizeof(text));
    uint8_t path_n[2] = {(uint8_t)strlen(path), 0}; /* paths are shorter than OPTION_NAME_BYTES */
    int r = buf_append(buf, path_n, sizeof(path_n));

    if (r == 0)
        r = buf_append(buf, path, strlen(path));
    if (r == 0)
        r = put_u32(buf, (uint32_t)strlen(value));
    if (r == 0)
        r = buf_append(buf, value, strlen(value));
    return r;
}

int options_snapshot(const struct options *options, unsigned role, struct buf *buf)
{
    size_t before = buf->n;
    uint32_t count = 0;
    int r;

    for (unsigned i = 0; i < OPT_COUNT; i++)
        count += is_for((enum option_id)i, role);
    r = put_u32(buf, SNAPSHOT_MAGIC);
    if (r == 0)
        r = put_u32(buf, SNAPSHOT_VERSION);
    if (r == 0)
        r = put_u32(buf, count);
    for (unsigned i = 0; i < OPT_COUNT && r == 0; i++)
        if (is_for((enum option_id)i, role))
            r = put_option(buf, options, (enum option_id)i);
    if (r < 0)
        buf->n = before;
    return r;
}

/* Takes n bytes from the front. */
static int take(struct slice *rest, size_t n, struct slice *ret)
{
    if (rest->n < n)
        return -EINVAL;
    *ret = slice_of(rest->p, n);
    rest->p += n;
    rest->n -= n;
    return 0;
}

static int take_u32(struct slice *rest, uint32_t *ret)
{
    struct slice bytes;

    if (take(rest, 4, &bytes) < 0)
        return -EINVAL;
    *ret = bytes_get_le32(bytes.p);
    return 0;
}

static int take_option(struct slice *rest, struct slice *ret_path, struct slice *ret_value)
{
    struct slice n;
    uint32_t value_n;

    if (take(rest, 2, &n) < 0 || take(rest, (size_t)(n.p[0] | n.p[1] << 8), ret_path) < 0 ||
        take_u32(rest, &value_n) < 0 || take(rest, value_n, ret_value) < 0)
        return -EINVAL;
    return 0;
}

static int read_option(struct options *options, unsigned role, struct slice *rest, bool *seen,
                       struct err *err)
{
    struct slice path, value;
    char name[OPTION_NAME_BYTES];
    enum option_id id;

    if (take_option(rest, &path, &value) < 0)
        return err_set(err, EINVAL, "the options are cut short");
    if (path.n >= sizeof(name))
        return err_set(err, EINVAL, "the options name a path of %zu bytes", path.n);
    memcpy(name, path.p, path.n);
    name[path.n] = '\0';
    if (memchr(name, '\0', path.n) != NULL || option_by_path(name, &id) < 0)
        return err_set(err, EINVAL, "the options name one that is not known here: %s", name);
    if (!is_for(id, role))
        return err_set(err, EINVAL, "the options name one that is not for this stage: %s", name);
    if (seen[id])
        return err_set(err, EINVAL, "the options name %s twice", name);
    seen[id] = true;
    return options_set(options, id, value, err);
}

static int read_all(struct options *options, unsigned role, struct slice rest, struct err *err)
{
    uint32_t magic, version, count;
    bool seen[OPT_COUNT] = {false};

    if (take_u32(&rest, &magic) < 0 || take_u32(&rest, &version) < 0 ||
        take_u32(&rest, &count) < 0 || magic != SNAPSHOT_MAGIC)
        return err_set(err, EINVAL, "these bytes are no options");
    if (version != SNAPSHOT_VERSION)
        return err_set(err, EINVAL, "the options have version %u, %u is known here", version,
                       SNAPSHOT_VERSION);
    for (uint32_t i = 0; i < count; i++) {
        int r = read_option(options, role, &rest, seen, err);

        if (r < 0)
            return r;
    }
    if (rest.n != 0)
        return err_set(err, EINVAL, "%zu bytes follow the options", rest.n);
    return 0;
}

int options_from_snapshot(struct slice snapshot, unsigned role, struct options **ret_options,
                          struct err *err)
{
    struct options *options = options_new();
    int r;

    if (options == NULL)
        return err_errno(err, ENOMEM, "cannot keep the options");
    r = read_all(options, role, snapshot, err);
    if (r < 0) {
        options_free(&options);
        return r;
    }
    options_mark_snapshot(options);
    *ret_options = options;
    return 0;
}
