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

/* Two heads must leave room for records in a frame. */
#define MAX_HEAD_BYTES ((size_t)256 << 10)
#define MAX_CONFIGURED 64
#define LENGTH_BYTES 2
/* Places for heads: sets of four, by hash. */
#define KNOWN_BITS 6
#define KNOWN_WAYS 4
#define KNOWN (KNOWN_WAYS << KNOWN_BITS)
#define KEEP_BYTES ((size_t)4 << 10)

static const char *const fact_names[FACT_COUNT] = {
    [FACT_HOST_NAME] = "host.name",
    [FACT_SERVICE_NAME] = "service.name",
    [FACT_SERVICE_VERSION] = "service.version",
    [FACT_SERVICE_NAMESPACE] = "service.namespace",
    [FACT_ENVIRONMENT] = "deployment.environment.name",
    [FACT_CONTAINER_ID] = "container.id",
    [FACT_CONTAINER_NAME] = "container.name",
    [FACT_IMAGE_NAME] = "container.image.name",
    [FACT_IMAGE_TAG] = "container.image.tags",
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

/* A head that was encoded before, and for what. */
struct known {
    uint64_t generation;
    struct frame_head head;
    struct facts facts; /* copies, in `copies` */
    struct buf copies;
    struct buf bytes;
};

struct resource {
    char *text; /* owns the configured pairs' bytes */
    struct pair configured[MAX_CONFIGURED];
    size_t configured_count;
    bool has_group;
    struct resource_group group;
    uint32_t given;
    struct key_set seen;
    uint64_t generation;    /* of the group, counting up; without one 0 counts */
    uint64_t learned;       /* heads so far */
    struct buf joined;      /* a prefix and a key */
    size_t chosen;          /* index */
    bool has_large;         /* some heads take much memory */
    uint64_t hashes[KNOWN]; /* of what is known; 0: nothing */
    struct known known[KNOWN];
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

        if (strspn(text, " \t") < (size_t)(comma - text)) {
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
    buf_init(&resource->joined, MAX_HEAD_BYTES);
    for (size_t i = 0; i < KNOWN; i++) {
        buf_init(&resource->known[i].copies, MAX_HEAD_BYTES);
        buf_init(&resource->known[i].bytes, MAX_HEAD_BYTES);
    }
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
    buf_fini(&(*resource)->joined);
    for (size_t i = 0; i < KNOWN; i++) {
        buf_fini(&(*resource)->known[i].copies);
        buf_fini(&(*resource)->known[i].bytes);
    }
    free((*resource)->text);
    free(*resource);
    *resource = NULL;
}

/* ---- groups ---- */

static void end_group(struct resource *resource)
{
    resource->has_group = false;
    resource->given = 0;
}

/* What unusual records were known by is not kept beyond their chunk. */
void resource_trim(struct resource *resource)
{
    if (!resource->has_large)
        return;
    resource->has_large = false;
    for (size_t i = 0; i < KNOWN; i++) {
        struct known *known = &resource->known[i];

        if (known->bytes.cap <= KEEP_BYTES && known->copies.cap <= KEEP_BYTES)
            continue;
        resource->hashes[i] = 0;
        known->bytes.n = known->copies.n = 0;
        buf_trim(&known->bytes, 0);
        buf_trim(&known->copies, 0);
    }
}

int resource_begin(struct resource *resource)
{
    const struct facts none = {.set = 0};
    int r;

    end_group(resource);
    /* The last head will mostly do again, if it was finished. */
    if (resource->hashes[resource->chosen] != 0)
        return 0;
    r = resource_choose(resource, &none);
    return r < 0 ? r : 0;
}

uint32_t resource_given(const struct resource *resource)
{
    return resource->given;
}

int resource_group(struct resource *resource, const struct resource_group *group)
{
    const uint8_t *start;
    uint32_t given = 0;
    struct mp in;

    end_group(resource);
    if (group == NULL)
        return 0;
    in = group->attributes;
    start = in.p;
    for (uint32_t i = 0; i < group->count; i++) {
        struct mp_value key, v;
        int r = mp_next_pair(&in, &key, &v);

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
    resource->generation++;
    return 0;
}

/* ---- the head ---- */

/* Returns 1 and a unique name, 0 where `only_new` and the name is there, or -errno. */
static int enter(struct resource *resource, struct slice *name, bool only_new)
{
    struct name_word w;
    int r = key_set_repair(&resource->seen, name);

    if (r < 0)
        return r;
    w = name_word_of(*name);
    r = key_set_add(&resource->seen, *name, w.mixed);
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
    struct buf *joined = &resource->joined;
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

/* The tags are an array, of which one is known. */
static int put_tag(struct otlp_out *o, struct slice name, struct slice tag)
{
    uint8_t array[FACT_MAX_BYTES + 8];
    const struct mp_value v = {.type = MP_ARRAY, .count = 1};
    struct mp in;

    array[0] = 0xda;
    bytes_put_be16(array + 1, (uint16_t)tag.n);
    memcpy(array + 3, tag.p, tag.n);
    in = mp_of(slice_of(array, 3 + tag.n));
    return otlp_value_put_pair(o, F_ATTRIBUTE, name, &in, &v);
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
            r = f == FACT_IMAGE_TAG
                    ? put_tag(o, name, facts->value[f])
                    : otlp_value_put_text_pair(o, F_ATTRIBUTE, name, facts->value[f]);
    }
    for (unsigned m = 0; r == 0 && m < FACT_MAPS; m++)
        if (facts->maps_set & 1u << m)
            r = put_map(resource, o, map_prefixes[m], mp_of(facts->map[m]), facts->map_pairs[m]);
    return r;
}

/* Whether the record says it: then the configured one is not written. */
static bool is_fact(const struct facts *facts, struct slice name)
{
    for (uint32_t left = facts->set; left != 0; left &= left - 1)
        if (slice_is(name, fact_names[__builtin_ctz(left)]))
            return true;
    return false;
}

static int put_configured(struct resource *resource, struct otlp_out *o, const struct facts *facts)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < resource->configured_count; i++) {
        struct slice name = resource->configured[i].name;

        if (is_fact(facts, name))
            continue;
        r = enter(resource, &name, true);
        if (r > 0)
            r = otlp_value_put_text_pair(o, F_ATTRIBUTE, name, resource->configured[i].value);
    }
    return r;
}

static int put_head(struct resource *resource, const struct facts *facts, struct buf *head)
{
    const struct resource_group *group = resource->has_group ? &resource->group : NULL;
    struct otlp_out o;
    size_t content;
    int r;

    key_set_clear(&resource->seen);
    head->n = 0;
    r = buf_reserve(head, 64);
    if (r < 0)
        return r;
    o = otlp_out_of(head);
    content = otlp_out_nest_begin(&o, F_RESOURCE, LENGTH_BYTES);
    if (group != NULL)
        r = put_map(resource, &o, "", group->attributes, group->count);
    if (r == 0)
        r = put_configured(resource, &o, facts);
    if (r == 0)
        r = put_facts(resource, &o, facts);
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
    head->n = otlp_out_offset(&o);
    return r;
}

/* Cheap: a sender of values that meet only makes his own heads be encoded more often. Never 0. */
static uint64_t hash_facts(uint64_t generation, const struct facts *facts)
{
    uint64_t hash = generation + ((uint64_t)facts->maps_set << 32 | facts->set);

    for (uint32_t left = facts->set; left != 0; left &= left - 1)
        hash =
            (hash ^ name_word_of(facts->value[__builtin_ctz(left)]).mixed) * 0x9e3779b97f4a7c15ull;
    for (uint32_t left = facts->maps_set; left != 0; left &= left - 1)
        hash = (hash ^ name_word_of(facts->map[__builtin_ctz(left)]).mixed) * 0x9e3779b97f4a7c15ull;
    return (hash ^ hash >> 29) | 1;
}

static bool same_facts(const struct facts *a, const struct facts *b)
{
    if (a->set != b->set || a->maps_set != b->maps_set)
        return false;
    for (uint32_t left = a->set; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);

        if (!slice_equal(a->value[i], b->value[i]))
            return false;
    }
    for (uint32_t left = a->maps_set; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);

        if (!slice_equal(a->map[i], b->map[i]))
            return false;
    }
    return true;
}

static bool is_known(const struct resource *resource, size_t i, uint64_t hash, uint64_t generation,
                     const struct facts *facts)
{
    const struct known *known = &resource->known[i];

    return resource->hashes[i] == hash && known->generation == generation &&
           same_facts(&known->facts, facts);
}

/* Room was made; so nothing moves. */
static struct slice keep(struct buf *copies, struct slice s)
{
    memcpy(copies->p + copies->n, s.p, s.n);
    copies->n += s.n;
    return slice_of(copies->p + copies->n - s.n, s.n);
}

static int keep_facts(struct known *place, const struct facts *facts)
{
    size_t n = 1;

    for (uint32_t left = facts->set; left != 0; left &= left - 1)
        n += facts->value[__builtin_ctz(left)].n;
    for (uint32_t left = facts->maps_set; left != 0; left &= left - 1)
        n += facts->map[__builtin_ctz(left)].n;
    if (buf_reserve(&place->copies, n) < 0)
        return -ENOMEM;
    place->facts.set = facts->set;
    place->facts.maps_set = facts->maps_set;
    for (uint32_t left = facts->set; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);

        place->facts.value[i] = keep(&place->copies, facts->value[i]);
    }
    for (uint32_t left = facts->maps_set; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctz(left);

        place->facts.map[i] = keep(&place->copies, facts->map[i]);
    }
    return 0;
}

/* Encodes a head into a place of the table. */
static int learn(struct resource *resource, const struct facts *facts, size_t i)
{
    struct known *place = &resource->known[i];
    int r;

    resource->hashes[i] = 0;
    place->copies.n = place->bytes.n = 0;
    buf_trim(&place->bytes, KEEP_BYTES);
    buf_trim(&place->copies, KEEP_BYTES);
    r = put_head(resource, facts, &place->bytes);
    if (r == 0)
        r = keep_facts(place, facts);
    if (r < 0)
        return r;
    if (place->bytes.cap > KEEP_BYTES || place->copies.cap > KEEP_BYTES)
        resource->has_large = true;
    place->generation = resource->has_group ? resource->generation : 0;
    place->head = frame_head_of(++resource->learned, buf_slice(&place->bytes));
    return 0;
}

int resource_choose(struct resource *resource, const struct facts *facts)
{
    const uint64_t generation = resource->has_group ? resource->generation : 0;
    const uint64_t hash = hash_facts(generation, facts);
    size_t first = (hash >> (64 - KNOWN_BITS)) * KNOWN_WAYS, i;
    int r;

    if (is_known(resource, resource->chosen, hash, generation, facts))
        return 0;
    for (i = first; i < first + KNOWN_WAYS; i++) {
        if (is_known(resource, i, hash, generation, facts)) {
            resource->chosen = i;
            return 1;
        }
    }
    i = first + resource->learned % KNOWN_WAYS;
    r = learn(resource, facts, i);
    if (r < 0)
        return r;
    resource->hashes[i] = hash;
    resource->chosen = i;
    return 1;
}

const struct frame_head *resource_head(const struct resource *resource)
{
    return &resource->known[resource->chosen].head;
}
