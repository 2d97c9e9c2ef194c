#include "tests/unit/processor/mp_say.h"

#include "processor/mp.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void say_string(FILE *f, struct slice text)
{
    fputc('"', f);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];

        if (c < 0x20 || c > 0x7e || c == '"' || c == '\\')
            fprintf(f, "\\x%02x", c);
        else
            fputc(c, f);
    }
    fputc('"', f);
}

static void say_value(FILE *f, const struct mp_value *v)
{
    switch (v->type) {
    case MP_NIL:
        fputs("nil", f);
        break;
    case MP_BOOL:
        fputs(v->u != 0 ? "true" : "false", f);
        break;
    case MP_UINT:
        fprintf(f, "%" PRIu64, v->u);
        break;
    case MP_INT:
        fprintf(f, "%" PRId64, v->i);
        break;
    case MP_FLOAT:
        fprintf(f, "d%.17g", v->d);
        break;
    case MP_STR:
        say_string(f, v->bytes);
        break;
    case MP_ARRAY:
        fprintf(f, "[%" PRIu32, v->count);
        break;
    case MP_MAP:
        fprintf(f, "{%" PRIu32, v->count);
        break;
    default:
        fail_msg("bin and ext are never written");
    }
}

char *mp_say(struct slice bytes)
{
    struct mp in = mp_of(bytes);
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    assert_non_null(f);
    while (mp_left(&in) > 0) {
        struct mp_value v;

        if (in.p != bytes.p)
            fputc(' ', f);
        assert_int_equal(mp_next(&in, &v), 0);
        say_value(f, &v);
    }
    fclose(f);
    return text;
}

void assert_says_at(struct slice bytes, const char *want, const char *file, int line)
{
    char *said = mp_say(bytes);

    if (strcmp(said, want) != 0) {
        print_error("it says   %s\nexpected  %s\n", said, want);
        _fail(file, line);
    }
    free(said);
}
