/*
 * sluicectl: asks a running sluiced for its status, or to do something.
 *
 * Exit statuses: 0 done, 1 refused or failed, 64 used wrongly, 69 no sluiced runs.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "shared/options/options.h"
#include "supervisor/ctl/client.h"
#include "supervisor/ctl/screen.h"

struct request {
    const char *socket;
    bool json;
    const char *const *words;
    size_t count;
};

static int show_plain(const struct request *request, const char *text)
{
    (void)request;
    printf("%s\n", text);
    return EX_OK;
}

static int show_status(const struct request *request, const char *text)
{
    if (request->json)
        return show_plain(request, text);
    if (screen_print(text, stdout) == 0)
        return EX_OK;
    fprintf(stderr, "sluicectl: the reply is no status\n");
    return EXIT_FAILURE;
}

static const struct verb {
    const char *name, *arguments;
    size_t count;
    int (*show)(const struct request *request, const char *text);
    const char *help;
} verbs[] = {
    {"status", "", 0, show_status, "what runs and how it is; --json: all of it"},
    {"restart", "STAGE", 1, show_plain,
     "restart receiver, processor or shipper (one of several: receiver.1) without losing anything"},
    {"reload", "", 0, show_plain, "read the configuration again, as SIGHUP does"},
    {"ping", "", 0, show_plain, "whether sluiced answers"},
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_help(FILE *out)
{
    fprintf(out, "usage: sluicectl [--socket PATH] [--json] VERB\n\n");
    for (size_t i = 0; i < VERBS; i++) {
        char left[64];

        snprintf(left, sizeof(left), "%s %s", verbs[i].name, verbs[i].arguments);
        fprintf(out, "  %-16s %s\n", left, verbs[i].help);
    }
    fprintf(out, "\nThe socket is sluiced's control.path; SLUICE_CONTROL_PATH names it too.\n"
                 "Exit statuses: 0 done, 1 refused or failed, 64 used wrongly, 69 not running.\n");
}

/* Options may stand before and behind the verb. Returns 0, or an exit status + 1. */
static int parse(int argc, char **argv, struct request *request)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int id;

    while ((id = getopt_long(argc, argv, "s:jhV", options, NULL)) != -1) {
        switch (id) {
        case 's':
            request->socket = optarg;
            break;
        case 'j':
            request->json = true;
            break;
        case 'h':
            print_help(stdout);
            return EX_OK + 1;
        case 'V':
            printf("sluicectl %s\n", SLUICE_VERSION);
            return EX_OK + 1;
        default:
            print_help(stderr);
            return EX_USAGE + 1;
        }
    }
    request->words = (const char *const *)argv + optind;
    request->count = (size_t)(argc - optind);
    return 0;
}

static const struct verb *find_verb(const struct request *request)
{
    for (size_t i = 0; i < VERBS; i++)
        if (request->count == verbs[i].count + 1 && strcmp(verbs[i].name, request->words[0]) == 0)
            return &verbs[i];
    return NULL;
}

static int misused(const struct request *request)
{
    if (request->count > 0)
        fprintf(stderr, "sluicectl: no such command:");
    for (size_t i = 0; i < request->count; i++)
        fprintf(stderr, " %s", request->words[i]);
    if (request->count > 0)
        fprintf(stderr, "\n\n");
    print_help(stderr);
    return EX_USAGE;
}

static int ask(const struct request *request, const struct verb *verb)
{
    struct err err = {0};
    char *text = NULL;
    bool done = false;
    int status, r;

    r = client_ask(request->socket, request->words, request->count, &done, &text, &err);
    if (r < 0) {
        fprintf(stderr, "sluicectl: %s\n", err.text);
        return r == -ECONNREFUSED ? EX_UNAVAILABLE : EXIT_FAILURE;
    }
    if (done) {
        status = verb->show(request, text);
    } else {
        fprintf(stderr, "sluicectl: %s\n", text);
        status = EXIT_FAILURE;
    }
    free(text);
    if (fflush(stdout) != 0)
        status = EXIT_FAILURE;
    return status;
}

int main(int argc, char **argv)
{
    struct options *defaults = options_new();
    struct request request = {.socket = getenv("SLUICE_CONTROL_PATH")};
    const struct verb *verb;
    int status;

    if (defaults == NULL)
        return EXIT_FAILURE;
    if (request.socket == NULL)
        request.socket = options_string(defaults, OPT_CONTROL_PATH);
    status = parse(argc, argv, &request) - 1;
    if (status < 0) {
        verb = find_verb(&request);
        status = verb != NULL ? ask(&request, verb) : misused(&request);
    }
    options_free(&defaults);
    return status;
}
