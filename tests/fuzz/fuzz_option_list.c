/*
 * option_list: any text as a list in JSON. What is taken is JSON for another parser too, and a value
 * that reads back; what is not is refused with a reason.
 */
#include "shared/options/option_list_json.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define WORDS "host|network|shared_key|users[]"

/* As many objects as elements, by a parser that is not ours. */
static void check_other_parser(const uint8_t *p, size_t n, unsigned elements)
{
    json_tokener *tokener = json_tokener_new();
    json_object *root;

    fuzz_check(tokener != NULL, "memory for a JSON parser");
    root = json_tokener_parse_ex(tokener, (const char *)p, (int)n);
    fuzz_check(json_object_is_type(root, json_type_array), "JSON that another parser takes");
    fuzz_check(json_object_array_length(root) == elements, "as many elements");
    json_object_put(root);
    json_tokener_free(tokener);
}

static void check_value(const struct option_list *list)
{
    struct option_list_entry entry = {0};
    struct slice rest = buf_slice(&list->text);

    fuzz_check(option_list_check(WORDS, rest, NULL) == 0, "a value that is one");
    while (option_list_next(&rest, &entry))
        fuzz_check(entry.name.n > 0 && entry.value.n > 0, "a name and a value");
    fuzz_check(rest.n == 0, "read to the end");
}

static void run_json(const uint8_t *p, size_t n)
{
    struct option_list list;
    struct err err = {0};

    fuzz_check(option_list_init(&list, WORDS) == 0, "memory");
    if (option_list_json(&list, slice_of(p, n), &err) == 0) {
        check_value(&list);
        check_other_parser(p, n, list.elements);
    } else {
        fuzz_check(err.text[0] != '\0', "a reason");
    }
    option_list_fini(&list);
}

/* As a stage gets it from sluiced. */
static void run_value(const uint8_t *p, size_t n)
{
    struct option_list_entry entry = {0};
    struct slice rest = slice_of(p, n);

    if (option_list_check(WORDS, rest, NULL) < 0)
        return;
    while (option_list_next(&rest, &entry))
        ;
    fuzz_check(rest.n == 0, "what is checked is read to the end");
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n == 0 ? 1 : n); /* of exactly its length */

    fuzz_check(copy != NULL, "memory");
    memcpy(copy, p, n);
    run_json(copy, n);
    run_value(copy, n);
    free(copy);
    return 0;
}
