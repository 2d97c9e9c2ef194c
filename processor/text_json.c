#include "processor/json_mp.h"
#include "processor/text.h"

static bool is_white(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/*
 * One object and nothing else. A text that is one string, number or array is left alone: there are
 * no names in it. So is {}, which says nothing that could replace the text.
 */
enum text_verdict text_json(struct slice text, struct mp_writer *w)
{
    uint32_t pairs = w->pairs;
    size_t first = 0;

    while (first < text.n && is_white(text.p[first]))
        first++;
    while (text.n > first && is_white(text.p[text.n - 1]))
        text.n--;
    if (text.n - first < 2 || text.p[first] != '{' || text.p[text.n - 1] != '}')
        return TEXT_NO;
    text = slice_of(text.p + first, text.n - first);
    if (json_mp_object(text, JSON_LAX, w, NULL) < 0)
        return TEXT_NO;
    return w->pairs > pairs ? TEXT_REPLACES : TEXT_NO;
}
