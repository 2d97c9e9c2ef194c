/*
 * access_of: who may send, from the options as texts (the lists as option_list.h has them).
 */
#ifndef TESTS_UNIT_RECEIVER_ACCESS_OF_H
#define TESTS_UNIT_RECEIVER_ACCESS_OF_H

#include "tests/unit/receiver/fixture.h"

#include "shared/options/access.h"

struct access_texts {
    const char *shared_key, *clients, *users;
    bool deny_unknown;
};

static inline void access_of_set(struct options *options, enum option_id id, const char *text)
{
    if (text)
        assert_int_equal(options_set(options, id, slice_string(text), NULL), 0);
}

/* Freed by the caller. */
static inline struct access *access_of(const struct access_texts *texts)
{
    struct options *options = options_new();
    struct option_report report = {0};
    struct access *access = NULL;

    assert_non_null(options);
    access_of_set(options, OPT_FORWARD_SHARED_KEY, texts->shared_key);
    access_of_set(options, OPT_FORWARD_CLIENTS, texts->clients);
    access_of_set(options, OPT_FORWARD_USERS, texts->users);
    access_of_set(options, OPT_FORWARD_ALLOW_UNKNOWN_CLIENTS,
                  texts->deny_unknown ? "false" : "true");
    if (access_load(options, &report, &access) < 0)
        fail_msg("%s", report.count > 0 ? report.messages[0].text : "no access");
    assert_int_equal(report.count, 0);
    options_free(&options);
    return access;
}

#endif
