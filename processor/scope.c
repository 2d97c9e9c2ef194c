#include "processor/scope.h"

#include "processor/otlp_out.h"
#include "processor/otlp_value.h"

#include <errno.h>

/* Fields of ScopeLogs and InstrumentationScope. */
#define F_SCOPE PB_KEY(1, PB_BYTES)
#define F_SCHEMA_URL PB_KEY(3, PB_BYTES)
#define F_NAME PB_KEY(1, PB_BYTES)
#define F_VERSION PB_KEY(2, PB_BYTES)
#define F_ATTRIBUTE PB_KEY(3, PB_BYTES)
#define F_DROPPED PB_KEY(4, PB_VARINT)

#define MAX_HEAD_BYTES ((size_t)256 << 10)
#define LENGTH_BYTES 2

void scope_init(struct scope *scope, const struct scope_config *config)
{
    *scope = (struct scope){.config = *config};
    key_set_init(&scope->seen);
    buf_init(&scope->bytes, MAX_HEAD_BYTES);
}

void scope_fini(struct scope *scope)
{
    key_set_fini(&scope->seen);
    buf_fini(&scope->bytes);
}

static struct slice text_of(const char *text)
{
    return slice_string(text == NULL ? "" : text);
}

static int put_string(struct otlp_out *o, uint8_t field, struct slice text)
{
    return text.n == 0 ? 0 : otlp_value_put_string(o, field, text);
}

static int enter(struct scope *scope, struct slice *name)
{
    struct name_word w;
    int r = key_set_repair(&scope->seen, name);

    if (r < 0)
        return r;
    w = name_word_of(*name);
    r = key_set_add(&scope->seen, *name, w.mixed);
    if (r == 0)
        r = key_set_rename(&scope->seen, *name, w.mixed, name);
    return r < 0 ? r : 0;
}

static int put_own(struct scope *scope, struct otlp_out *o, const char *key, struct slice text)
{
    struct slice name = slice_string(key);
    int r;

    if (text.n == 0)
        return 0;
    if (text.n > SCOPE_MAX_NAME_BYTES)
        text.n = SCOPE_MAX_NAME_BYTES;
    r = enter(scope, &name);
    return r < 0 ? r : otlp_value_put_text_pair(o, F_ATTRIBUTE, name, text);
}

static int put_group(struct scope *scope, struct otlp_out *o, const struct scope_group *group)
{
    struct mp in = group->attributes;
    char scratch[OTLP_KEY_TEXT_BYTES];
    struct mp_value key, v;
    int r = put_string(o, F_NAME, group->name);

    if (r == 0)
        r = put_string(o, F_VERSION, group->version);
    for (uint32_t i = 0; r == 0 && i < group->count; i++) {
        struct slice name;

        r = mp_next(&in, &key);
        if (r == 0)
            r = otlp_value_key(&in, &key, scratch, &name);
        if (r == 0 && name.p == (const uint8_t *)scratch)
            r = key_set_keep(&scope->seen, name, &name);
        if (r == 0)
            r = enter(scope, &name);
        if (r == 0)
            r = mp_next(&in, &v);
        if (r == 0)
            r = otlp_value_put_pair(o, F_ATTRIBUTE, name, &in, &v);
    }
    if (r == 0)
        r = otlp_out_need(o, 16);
    if (r == 0 && group->dropped_attributes > 0) {
        *o->w++ = F_DROPPED;
        o->w = pb_put_varint(o->w, group->dropped_attributes);
    }
    return r;
}

static int put_head(struct scope *scope, const struct scope_group *group)
{
    const struct scope_config *config = &scope->config;
    struct otlp_out o;
    size_t content;
    int r;

    key_set_clear(&scope->seen);
    scope->bytes.n = 0;
    r = buf_reserve(&scope->bytes, 64);
    if (r < 0)
        return r;
    o = otlp_out_of(&scope->bytes);
    content = otlp_out_nest_begin(&o, F_SCOPE, LENGTH_BYTES);
    if (group != NULL)
        r = put_group(scope, &o, group);
    if (r == 0 && (group == NULL || group->name.n == 0))
        r = put_string(&o, F_NAME, text_of(config->name));
    if (r == 0 && (group == NULL || group->name.n == 0))
        r = put_string(&o, F_VERSION, text_of(config->version));
    if (r == 0)
        r = put_own(scope, &o, "sluice.host", text_of(config->host));
    if (r == 0)
        r = put_own(scope, &o, "fluent.tag", scope->tag);
    if (r == 0)
        r = put_own(scope, &o, "sluice.peer", scope->peer);
    if (r == 0)
        r = otlp_out_need(&o, PB_NEST_SLACK);
    if (r < 0)
        return r;
    otlp_out_nest_end(&o, content, LENGTH_BYTES);
    if (group != NULL)
        r = put_string(&o, F_SCHEMA_URL, group->schema_url);
    scope->bytes.n = otlp_out_offset(&o);
    scope->head = frame_head_of(scope->head.id + 1, buf_slice(&scope->bytes));
    return r;
}

int scope_begin(struct scope *scope, struct slice tag, struct slice peer)
{
    scope->tag = tag;
    scope->peer = peer;
    return put_head(scope, NULL);
}

int scope_group(struct scope *scope, const struct scope_group *group)
{
    struct mp in;
    int r;

    if (group == NULL)
        return put_head(scope, NULL);
    in = group->attributes;
    r = mp_skip(&in, 2ull * group->count);
    if (r < 0)
        return r;
    if (group->name.n + group->version.n + group->schema_url.n +
            (size_t)(in.p - group->attributes.p) >
        SCOPE_MAX_GROUP_BYTES)
        return -EFBIG;
    return put_head(scope, group);
}
