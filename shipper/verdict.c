#include "shipper/verdict.h"

#include "shared/base/num.h"
#include "shared/otlp/pb.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

struct row {
    unsigned first, last;
    enum verdict_kind kind;
};

/* What is not here: VERDICT_HOLD. */
static const struct row rows[] = {
    {200, 299, VERDICT_SUCCESS}, {400, 400, VERDICT_SPLIT}, {413, 413, VERDICT_SPLIT},
    {429, 429, VERDICT_RETRY},   {502, 504, VERDICT_RETRY},
};

static enum verdict_kind kind_of_status(unsigned status)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (status >= rows[i].first && status <= rows[i].last)
            return rows[i].kind;
    return VERDICT_HOLD;
}

/* ---- protobuf ---- */

/* The last string field `number` of a message; empty where there is none. */
static struct slice protobuf_string(struct slice message, uint32_t number)
{
    struct pb_reader reader = pb_reader_of(message);
    struct slice found = {NULL, 0};
    struct pb_field field;

    while (pb_next(&reader, &field) > 0)
        if (field.number == number && field.wire == PB_BYTES)
            found = field.bytes;
    return found;
}

static uint64_t protobuf_varint(struct slice message, uint32_t number)
{
    struct pb_reader reader = pb_reader_of(message);
    struct pb_field field;
    uint64_t found = 0;

    while (pb_next(&reader, &field) > 0)
        if (field.number == number && field.wire == PB_VARINT)
            found = field.value;
    return found;
}

/* ---- words ---- */

/* Printable ASCII and nothing else: the words go to a terminal and into JSON. */
static void append_words(struct verdict *verdict, struct slice text)
{
    size_t n = strlen(verdict->words);
    size_t start = n;

    for (size_t i = 0; i < text.n && n + 1 < sizeof(verdict->words); i++) {
        uint8_t c = text.p[i];

        if (c > ' ' && c < 0x7f)
            verdict->words[n++] = (char)c;
        else if (c >= 0x7f)
            verdict->words[n++] = '?';
        else if (n > start && verdict->words[n - 1] != ' ')
            verdict->words[n++] = ' ';
    }
    while (n > start && verdict->words[n - 1] == ' ')
        n--;
    verdict->words[n] = '\0';
}

static void say(struct verdict *verdict, struct slice text)
{
    size_t n = strlen(verdict->words);

    if (text.n == 0)
        return;
    verdict->has_words = true;
    snprintf(verdict->words + n, sizeof(verdict->words) - n, ": ");
    append_words(verdict, text);
}

/* ---- JSON ---- */

static struct json_object *json_member(struct json_object *object, const char *name)
{
    struct json_object *member = NULL;

    if (object != NULL && json_object_is_type(object, json_type_object))
        json_object_object_get_ex(object, name, &member);
    return member;
}

static struct slice json_text(struct json_object *object)
{
    if (object == NULL || !json_object_is_type(object, json_type_string))
        return (struct slice){NULL, 0};
    return slice_of(json_object_get_string(object), (size_t)json_object_get_string_len(object));
}

/* An int64 is a decimal string in OTLP/JSON; a number is taken too. */
static uint64_t json_count(struct json_object *object)
{
    uint64_t value = 0;
    int64_t number;

    if (object == NULL)
        return 0;
    if (json_object_is_type(object, json_type_string))
        return num_parse_u64(json_text(object), &value) == 0 ? value : 0;
    number = json_object_get_int64(object);
    return number > 0 ? (uint64_t)number : 0;
}

static struct json_object *parse_json(struct slice body)
{
    struct json_tokener *tokener = json_tokener_new_ex(16);
    struct json_object *root = NULL;

    if (tokener != NULL && body.n > 0 && body.n <= INT32_MAX)
        root = json_tokener_parse_ex(tokener, (const char *)body.p, (int)body.n);
    if (tokener != NULL)
        json_tokener_free(tokener);
    return root;
}

static bool is_type(struct slice content_type, const char *type)
{
    size_t n = strlen(type);

    return content_type.n >= n && strncasecmp((const char *)content_type.p, type, n) == 0;
}

/* ---- the two bodies ---- */

static void read_success(const struct verdict_answer *answer, struct verdict *verdict)
{
    struct json_object *root, *partial;
    struct slice message;

    if (is_type(answer->content_type, "application/json")) {
        root = parse_json(answer->body);
        partial = json_member(root, "partialSuccess");
        verdict->rejected = json_count(json_member(partial, "rejectedLogRecords"));
        say(verdict, json_text(json_member(partial, "errorMessage")));
        json_object_put(root);
    } else if (is_type(answer->content_type, "application/x-protobuf")) {
        message = protobuf_string(answer->body, 1);
        verdict->rejected = protobuf_varint(message, 1);
        if (verdict->rejected > INT64_MAX) /* a negative int64 */
            verdict->rejected = 0;
        say(verdict, protobuf_string(message, 2));
    }
}

static void read_error(const struct verdict_answer *answer, struct verdict *verdict)
{
    struct json_object *root;

    if (is_type(answer->content_type, "application/json")) {
        root = parse_json(answer->body);
        say(verdict, json_text(json_member(root, "message")));
        json_object_put(root);
    } else if (is_type(answer->content_type, "application/x-protobuf")) {
        say(verdict, protobuf_string(answer->body, 2));
    } else if (is_type(answer->content_type, "text/plain")) {
        say(verdict, answer->body);
    }
}

/* ---- Retry-After ---- */

static bool parse_date(const char *text, time_t *ret_time)
{
    /* RFC 9110, 5.6.7: the preferred form and the two that must be understood. */
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %e %H:%M:%S %Y"};

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);

        if (end != NULL && *end == '\0') {
            *ret_time = timegm(&tm);
            return *ret_time >= 0;
        }
    }
    return false;
}

uint64_t verdict_retry_after_ms(struct slice value, uint64_t now_s)
{
    uint64_t seconds = 0;
    char text[64];
    time_t date;

    while (value.n > 0 && value.p[value.n - 1] <= ' ')
        value.n--;
    while (value.n > 0 && value.p[0] <= ' ')
        value = slice_of(value.p + 1, value.n - 1);
    if (value.n == 0 || value.n >= sizeof(text))
        return 0;
    memcpy(text, value.p, value.n);
    text[value.n] = '\0';
    if (num_parse_u64(value, &seconds) < 0) {
        if (!parse_date(text, &date) || (uint64_t)date <= now_s)
            return 0;
        seconds = (uint64_t)date - now_s;
    }
    return num_min_u64(seconds, VERDICT_RETRY_AFTER_MAX_MS / 1000) * 1000;
}

/* ---- all of it ---- */

void verdict_of(const struct verdict_answer *answer, struct verdict *ret_verdict)
{
    struct verdict verdict = {.kind = VERDICT_RETRY};

    if (answer->transport != VERDICT_ANSWERED) {
        if (answer->transport == VERDICT_UNTRUSTED)
            verdict.kind = VERDICT_HOLD;
        append_words(&verdict, slice_string(answer->failure != NULL ? answer->failure : "failed"));
        *ret_verdict = verdict;
        return;
    }
    verdict.kind = kind_of_status(answer->status);
    verdict.too_large = answer->status == 413;
    snprintf(verdict.words, sizeof(verdict.words), "%u from the server", answer->status);
    if (verdict.kind == VERDICT_SUCCESS)
        read_success(answer, &verdict);
    else
        read_error(answer, &verdict);
    if (verdict.kind != VERDICT_SUCCESS)
        verdict.retry_after_ms = verdict_retry_after_ms(answer->retry_after, answer->now_s);
    *ret_verdict = verdict;
}
