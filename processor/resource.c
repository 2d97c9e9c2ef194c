#include "processor/resource.h"

#include "processor/otlp_out.h"
#include "processor/otlp_value.h"

#include <errno.h>
#include <stdlib.h>

/* Of a Resource and of ResourceLogs. */
#define F_ATTRIBUTE PB_KEY(1, PB_BYTES)
#define F_DROPPED PB_KEY(2, PB_VARINT)
#define F_RESOURCE PB_KEY(1, PB_BYTES)
#define F_SCHEMA_URL PB_KEY(3, PB_BYTES)

#define MAX_HEAD_BYTES ((size_t)1 << 20)
#define MAX_CONFIGURED 64
#define LENGTH_BYTES 2

static const char *const fact_names[FACT_COUNT] = {
    [FACT_HOST_NAME] = "host.name",
    [FACT_SERVICE_NAME] = "service.name",
    [FACT_SERVICE_VERSION] = "service.version",
    [FACT_SERVICE_NAMESPACE] = "service.namespace",
    [FACT_ENVIRONMENT] = "deployment.environment.name",
    [FACT_CONTAINER_ID] = "container.id",
    [FACT_CONTAINER_NAME] = "container.name",
    [FACT_IMAGE_NAME] = "container.image.name",
    [FACT_NAMESPACE] = "k8s.namespace.name",
    [FACT_NAMESPACE_UID] = "k8s.namespace.uid",
    [FACT_POD_NAME] = "k8s.pod.name",
    [FACT_POD_UID] = "k8s.pod.uid",
    [FACT_POD_IP] = "k8s.pod.ip",
    [FACT_POD_CONTAINER] = "k8s.container.name",
    [FACT_NODE_NAME] = "k8s.node.name",
};

static const char *const map_prefixes[FACT_MAPS] = {
    [FACT_POD_LABELS] = "k8s.pod.label.",
    [FACT_POD_ANNOTATIONS] = "k8s.pod.annotation.",
    [FACT_NAMESPACE_LABELS] = "k8s.namespace.label.",
    [FACT_NAMESPACE_ANNOTATIONS] = "k8s.namespace.annotation.",
};

struct pair {
    struct slice name;
    struct slice value;
};

struct resource {
    char *text; /* owns the configured pairs' bytes */
    struct pair configured[MAX_CONFIGURED];
    size_t configured_count;
    bool has_group;
    struct resource_group group;
    uint32_t given;
    struct key_set seen;
    struct buf signature; /* of the facts in the head */
    struct buf fresh;     /* of the record at hand */
    bool is_stale;        /* the head is another group's, whatever the facts are */
    struct buf head;
};

/* ---- the configured attributes ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Resolves %XX in place. */
static struct slice unescape(char *text, size_t n)
{
    size_t to = 0;

    for (size_t i = 0; i < n; i++) {
        if (text[i] == '%' && i + 2 < n && hex_digit(text[i + 1]) >= 0 &&
            hex_digit(text[i + 2]) >= 0) {
            text[to++] = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        } else {
            text[to++] = text[i];
        }
    }
    return slice_of(text, to);
}

static struct slice trimmed(char *from, char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    return unescape(from, (size_t)(to - from));
}

static int configure(struct resource *resource, struct slice name, struct slice value)
{
    for (size_t i = 0; i < resource->configured_count; i++) {
        if (slice_equal(resource->configured[i].name, name)) {
            resource->configured[i].value = value;
            return 0;
        }
    }
    if (resource->configured_count == MAX_CONFIGURED)
        return -E2BIG;
    resource->configured[resource->configured_count++] = (struct pair){name, value};
    return 0;
}

/* "key=value,key=value" with %XX for what would be read as a separator, as OpenTelemetry's
 * OTEL_RESOURCE_ATTRIBUTES has it. */
static int configure_list(struct resource *resource, char *text, struct err *err)
{
    char *end = text + strlen(text);

    while (text < end) {
        char *comma = strchrnul(text, ',');
        char *equal = memchr(text, '=', (size_t)(comma - text));
        struct slice name;

        if (trimmed(text, comma).n > 0) {
            if (equal == NULL || (name = trimmed(text, equal)).n == 0)
                return err_set(err, EINVAL, "resource.attributes: \"%.*s\" is no KEY=VALUE",
                               (int)(comma - text > 60 ? 60 : comma - text), text);
            if (configure(resource, name, trimmed(equal + 1, comma)) < 0)
                return err_set(err, E2BIG, "resource.attributes: more than %d", MAX_CONFIGURED - 2);
        }
        text = comma + 1;
    }
    return 0;
}

static char *copy(char **p, const char *text)
{
    char *start = *p;
    size_t n = text == NULL ? 0 : strlen(text);

    if (n > 0)
        memcpy(start, text, n);
    start[n] = '\0';
    *p = start + n + 1;
    return start;
}

static size_t length(const char *text)
{
    return text == NULL ? 1 : strlen(text) + 1;
}

static int configure_all(struct resource *resource, const struct resource_config *config,
                         struct err *err)
{
    char *p, *service, *environment, *list;
    int r = 0;

    resource->text = malloc(length(config->service_name) + length(config->environment) +
                            length(config->attributes));
    if (resource->text == NULL)
        return err_set(err, ENOMEM, "no memory for the resource");
    p = resource->text;
    service = copy(&p, config->service_name);
    environment = copy(&p, config->environment);
    list = copy(&p, config->attributes);
    if (*service != '\0')
        r = configure(resource, SLICE_LITERAL("service.name"), slice_string(service));
    if (r == 0 && *environment != '\0')
        r = configure(resource, SLICE_LITERAL("deployment.environment"), slice_string(environment));
    return r < 0 ? r : configure_list(resource, list, err);
}

int resource_new(const struct resource_config *config, struct resource **ret_resource,
                 struct err *err)
{
    struct resource *resource = calloc(1, sizeof(*resource));
    const struct facts none = {0};
    int r;

    if (resource == NULL)
        return err_set(err, ENOMEM, "no memory for the resource");
    key_set_init(&resource->seen);
    buf_init(&resource->signature, MAX_HEAD_BYTES);
    buf_init(&resource->fresh, MAX_HEAD_BYTES);
    buf_init(&resource->head, MAX_HEAD_BYTES);
    resource->is_stale = true;
    r = configure_all(resource, config, err);
    if (r == 0) {
        r = resource_choose(resource, &none);
        if (r < 0)
            err_set(err, -r, "the resource attributes do not fit");
    }
    if (r < 0) {
        resource_free(&resource);
        return r;
    }
    *ret_resource = resource;
    return 0;
}

void resource_free(struct resource **resource)
{
    if (*resource == NULL)
        return;
    key_set_fini(&(*resource)->seen);
    buf_fini(&(*resource)->signature);
    buf_fini(&(*resource)->fresh);
    buf_fini(&(*resource)->head);
    free((*resource)->text);
    free(*resource);
    *resource = NULL;
}

/* ---- groups ---- */

void resource_begin(struct resource *resource)
{
    if (!resource->has_group)
        return;
    resource->has_group = false;
    resource->given = 0;
    resource->is_stale = true;
}

uint32_t resource_given(const struct resource *resource)
{
    return resource->given;
}

int resource_group(struct resource *resource, const struct resource_group *group)
{
    struct mp in = group->attributes;
    const uint8_t *start = in.p;
    uint32_t given = 0;

    resource_begin(resource);
    for (uint32_t i = 0; i < group->count; i++) {
        struct mp_value key, v;
        int r = mp_next(&in, &key);

        if (r == 0)
            r = mp_skip_content(&in, &key);
        if (r == 0)
            r = mp_next(&in, &v);
        if (r == 0)
            r = mp_skip_content(&in, &v);
        if (r < 0)
            return r;
        for (size_t f = 0; key.type == MP_STR && f < FACT_COUNT; f++)
            if (slice_is(key.bytes, fact_names[f]))
                given |= 1u << f;
    }
    if ((size_t)(in.p - start) + group->schema_url.n > RESOURCE_MAX_GROUP_BYTES)
        return -EFBIG;
    if ((size_t)(in.p - start) > RESOURCE_MIXED_BYTES)
        given = UINT32_MAX;
    resource->has_group = true;
    resource->given = given;
    resource->group = *group;
    resource->is_stale = true;
    return 0;
}

/* ---- the head ---- */

/* Returns 1 and a unique name, 0 where `only_new` and the name is there, or -errno. */
static int enter(struct resource *resource, struct slice *name, bool only_new)
{
    struct name_word w = name_word_of(*name);
    int r = key_set_add(&resource->seen, *name, w.mixed);

    if (r != 0 || only_new)
        return r;
    r = key_set_rename(&resource->seen, *name, w.mixed, name);
    return r < 0 ? r : 1;
}

/* `prefix` and the key of a pair; *in ends behind the pair. */
static int put_map_pair(struct resource *resource, struct otlp_out *o, struct slice prefix,
                        struct mp *in)
{
    char scratch[OTLP_KEY_TEXT_BYTES];
    struct buf *joined = &resource->fresh; /* free by now */
    struct mp_value key, v;
    struct slice name;
    int r = mp_next(in, &key);

    if (r == 0)
        r = otlp_value_key(in, &key, scratch, &name);
    if (r < 0)
        return r;
    joined->n = 0;
    if (buf_append(joined, prefix.p, prefix.n) < 0 || buf_append(joined, name.p, name.n) < 0)
        return -ENOMEM;
    r = key_set_keep(&resource->seen, buf_slice(joined), &name);
    if (r == 0)
        r = enter(resource, &name, false);
    if (r >= 0)
        r = mp_next(in, &v);
    return r < 0 ? r : otlp_value_put_pair(o, F_ATTRIBUTE, name, in, &v);
}

static int put_map(struct resource *resource, struct otlp_out *o, const char *prefix, struct mp in,
                   uint32_t pairs)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < pairs; i++)
        r = put_map_pair(resource, o, slice_string(prefix), &in);
    return r;
}

static int put_facts(struct resource *resource, struct otlp_out *o, const struct facts *facts)
{
    int r = 0;

    for (unsigned f = 0; r == 0 && f < FACT_COUNT; f++) {
        struct slice name = slice_string(fact_names[f]);

        if (!(facts->set & 1u << f))
            continue;
        r = enter(resource, &name, false);
        if (r > 0)
            r = otlp_value_put_text_pair(o, F_ATTRIBUTE, name, facts->value[f]);
    }
    for (unsigned m = 0; r == 0 && m < FACT_MAPS; m++)
        if (facts->maps_set & 1u << m)
            r = put_map(resource, o, map_prefixes[m], mp_of(facts->map[m]), facts->map_pairs[m]);
    return r;
}

static int put_configured(struct resource *resource, struct otlp_out *o)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < resource->configured_count; i++) {
        struct slice name = resource->configured[i].name;

        r = enter(resource, &name, true);
        if (r > 0)
            r = otlp_value_put_text_pair(o, F_ATTRIBUTE, name, resource->configured[i].value);
    }
    return r;
}

static int put_head(struct resource *resource, const struct facts *facts)
{
    const struct resource_group *group = resource->has_group ? &resource->group : NULL;
    struct otlp_out o;
    size_t content;
    int r;

    key_set_clear(&resource->seen);
    resource->head.n = 0;
    r = buf_reserve(&resource->head, 64);
    if (r < 0)
        return r;
    o = otlp_out_of(&resource->head);
    content = otlp_out_nest_begin(&o, F_RESOURCE, LENGTH_BYTES);
    if (group != NULL)
        r = put_map(resource, &o, "", group->attributes, group->count);
    if (r == 0)
        r = put_facts(resource, &o, facts);
    if (r == 0)
        r = put_configured(resource, &o);
    if (r == 0)
        r = otlp_out_need(&o, 64);
    if (r < 0)
        return r;
    if (group != NULL && group->dropped_attributes > 0) {
        *o.w++ = F_DROPPED;
        o.w = pb_put_varint(o.w, group->dropped_attributes);
    }
    otlp_out_nest_end(&o, content, LENGTH_BYTES);
    if (group != NULL && group->schema_url.n > 0)
        r = otlp_value_put_string(&o, F_SCHEMA_URL, group->schema_url);
    resource->head.n = otlp_out_offset(&o);
    return r;
}

/* Which facts, and their bytes. */
static int sign(struct buf *to, const struct facts *facts)
{
    const uint32_t sets[2] = {facts->set, facts->maps_set};
    int r;

    to->n = 0;
    r = buf_append(to, sets, sizeof(sets));
    for (uint32_t left = facts->set; r == 0 && left != 0; left &= left - 1) {
        const struct slice value = facts->value[__builtin_ctz(left)];
        const uint32_t n = (uint32_t)value.n;

        r = buf_append(to, &n, sizeof(n));
        if (r == 0)
            r = buf_append(to, value.p, value.n);
    }
    for (uint32_t left = facts->maps_set; r == 0 && left != 0; left &= left - 1) {
        const struct slice map = facts->map[__builtin_ctz(left)];

        r = buf_append(to, map.p, map.n);
    }
    return r;
}

int resource_choose(struct resource *resource, const struct facts *facts)
{
    struct buf swap;
    int r;

    r = sign(&resource->fresh, facts);
    if (r < 0)
        return r;
    if (!resource->is_stale &&
        slice_equal(buf_slice(&resource->fresh), buf_slice(&resource->signature)))
        return 0;
    swap = resource->signature;
    resource->signature = resource->fresh;
    resource->fresh = swap;
    /* Until the head is whole it is nobody's. */
    resource->is_stale = true;
    r = put_head(resource, facts);
    if (r < 0)
        return r;
    resource->is_stale = false;
    return 1;
}

struct slice resource_head(const struct resource *resource)
{
    return buf_slice(&resource->head);
}
