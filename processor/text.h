/*
 * text: what a string body says. A table of detectors, a file per format (text_*.c); the first that
 * recognises the text says what is in it as MessagePack pairs, which go through record.c like those
 * of any record: "time" becomes the time, "level" the severity, "message" the body (and is looked at
 * again: a wrapper may hold a wrapper), others attributes.
 *
 *     text ──▶ by its first byte: the detectors that may begin so, best first
 *                 │ TEXT_NO from all of them: the text stays the body, nothing else
 *                 ▼
 *              TEXT_REPLACES   the pairs hold everything that the text said
 *              TEXT_ADDS       the text stays the body; the pairs say more about it
 *
 * A guess that fails leaves the text as it was: no format is half applied. A detector is strict: it
 * recognises by the whole text (or by a prefix that cannot be anything else), never throws a byte of
 * content away under TEXT_REPLACES, and costs next to nothing for texts that it does not know,
 * which most are. It works in one pass over the text, in memory of the writer only.
 *
 * To add a format: text_NAME.c with one function, its row in text.c, its rows in the tests.
 */
#ifndef PROCESSOR_TEXT_H
#define PROCESSOR_TEXT_H

#include "processor/mp_write.h"

/* How often a body found in a text is looked at again. */
#define TEXT_MAX_DEPTH 4

enum text_verdict { TEXT_NO, TEXT_ADDS, TEXT_REPLACES };

/*
 * Appends pairs to *w (no map header; counted in w->pairs). On TEXT_NO and where w->failed is set
 * nothing of it is left. Pairs are in the text's order; keys may repeat.
 */
enum text_verdict text_parse(struct slice text, struct mp_writer *w);

/* A detector: the same contract, for one format. */
typedef enum text_verdict text_detect(struct slice text, struct mp_writer *w);

text_detect text_json;    /* {"level":"info","msg":…}; also Docker's json-file wrapper */
text_detect text_cri;     /* 2024-01-15T10:30:45.123456789Z stdout F text */
text_detect text_syslog;  /* <PRI>…: RFC 5424 and RFC 3164 */
text_detect text_klog;    /* I0115 10:30:45.123456    1234 file.go:56] text */
text_detect text_bracket; /* [time] LEVEL component: text, and its like */
text_detect text_logfmt;  /* level=info msg="…" a=1 */
text_detect text_plain;   /* prose: a level word in front, correlation fields (job_id=…) in it */

#endif
