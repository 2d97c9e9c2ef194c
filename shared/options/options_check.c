/*
 * options_check: what options mean together: values that follow from others, and combinations that
 * cannot be meant. The only place besides options.def that knows single options (with access.c, for
 * who may send).
 */
#include "shared/options/options_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/num.h"
#include "shared/options/access.h"
#include "shared/options/option_value.h"

/* Also named in the help of otlp.endpoint; a test compares them. */
#define DASH0_ENDPOINT "https://ingress.us-west-2.aws.dash0.com/v1/logs"

static int fill_self_host(struct options *options)
{
    char name[HOST_NAME_MAX + 1];

    if (*options_string(options, OPT_SELF_HOST) != '\0')
        return 0;
    if (gethostname(name, sizeof(name)) < 0 || name[0] == '\0')
        return options_fill(options, OPT_SELF_HOST, "localhost");
    name[sizeof(name) - 1] = '\0';
    return options_fill(options, OPT_SELF_HOST, name);
}

static int fill_outputs(struct options *options)
{
    char *path;
    int r = 0;

    if (*options_string(options, OPT_OTLP_ENDPOINT) == '\0' &&
        options_secret(options, OPT_OTLP_API_KEY).n > 0)
        r = options_fill(options, OPT_OTLP_ENDPOINT, DASH0_ENDPOINT);
    if (r < 0 || *options_string(options, OPT_OTLP_ENDPOINT) != '\0' ||
        *options_string(options, OPT_FILE_PATH) != '\0')
        return r;
    if (asprintf(&path, "%s/otlp.jsonl", options_string(options, OPT_DATA_DIR)) < 0)
        return -ENOMEM;
    r = options_fill(options, OPT_FILE_PATH, path);
    free(path);
    return r;
}

/* By the endpoint's host. */
static bool is_dash0(const char *endpoint)
{
    static const char domain[] = "dash0.com";
    const size_t domain_n = sizeof(domain) - 1;
    const char *host = strstr(endpoint, "://");
    size_t n;

    if (host == NULL)
        return false;
    host += 3;
    n = strcspn(host, ":/?#");
    return n >= domain_n && strncasecmp(host + n - domain_n, domain, domain_n) == 0 &&
           (n == domain_n || host[n - domain_n - 1] == '.');
}

static int fill_profile(struct options *options)
{
    if (!options_is(options, OPT_OTLP_PROFILE, "auto"))
        return 0;
    return options_fill(options, OPT_OTLP_PROFILE,
                        is_dash0(options_string(options, OPT_OTLP_ENDPOINT)) ? "dash0" : "none");
}

/* Less would stop the receiver in the middle of the largest message that it must take. */
static int fill_receiver_memory(struct options *options)
{
    uint64_t least = 2 * options_size(options, OPT_FORWARD_MAX_CHUNK);
    char text[32];

    if (options_size(options, OPT_RECEIVER_MEMORY) >= least)
        return 0;
    return options_fill(
        options, OPT_RECEIVER_MEMORY,
        option_value_format(option_row(OPT_RECEIVER_MEMORY), least, text, sizeof(text)));
}

int options_check_fill(struct options *options)
{
    int r = fill_self_host(options);

    if (r == 0)
        r = fill_outputs(options);
    if (r == 0)
        r = fill_profile(options);
    if (r == 0)
        r = fill_receiver_memory(options);
    return r;
}

static bool is_loopback(const char *address)
{
    struct in6_addr six;
    struct in_addr four;

    if (inet_pton(AF_INET, address, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

static bool is_literal(const char *address)
{
    struct in6_addr any;

    return inet_pton(AF_INET, address, &any) == 1 || inet_pton(AF_INET6, address, &any) == 1;
}

/* Where access.c finds nothing wrong, whoever is let in must know a key. */
static bool asks_for_a_key(const struct options *o)
{
    static const enum option_id ids[] = {OPT_FORWARD_SHARED_KEY, OPT_FORWARD_CLIENTS,
                                         OPT_FORWARD_USERS};

    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        if (options_secret(o, ids[i]).n > 0 || options_is_broken(o, ids[i]))
            return true;
    return false;
}

static int check_access(const struct options *o, struct option_report *report)
{
    struct access *access = NULL;
    int r = access_load(o, report, &access);

    access_free(&access);
    return r == -ENOMEM ? r : 0;
}

static void check_forward(const struct options *o, struct option_report *report)
{
    const char *bind = options_string(o, OPT_FORWARD_BIND);

    if (options_is_broken(o, OPT_FORWARD_BIND))
        return;
    if (strcmp(bind, "*") != 0 && !is_literal(bind)) {
        option_report_add(report, OPTION_ERROR, options_place(o, OPT_FORWARD_BIND), "forward.bind",
                          "\"%s\" is not an address: write * for all, or a literal one such as "
                          "127.0.0.1 or ::1 (no name, no brackets, no port)",
                          bind);
        return;
    }
    if (options_is(o, OPT_ENVIRONMENT, "development") || is_loopback(bind) || asks_for_a_key(o) ||
        options_bool(o, OPT_FORWARD_ALLOW_ANONYMOUS) ||
        options_is_broken(o, OPT_FORWARD_ALLOW_ANONYMOUS) || options_is_broken(o, OPT_ENVIRONMENT))
        return;
    option_report_add(report, OPTION_ERROR, options_place(o, OPT_FORWARD_SHARED_KEY),
                      "forward.shared_key",
                      "is not set, and production asks for one on a forward port off loopback "
                      "(forward.bind is \"%s\"): set FLUENTD_SHARED_KEY or forward.shared_key, or "
                      "bind to 127.0.0.1, or allow all with forward.allow_anonymous = true, or "
                      "set NODE_ENV=development",
                      bind);
}

struct url {
    bool tls;
    char host[256];
    const char *path; /* what follows the authority, perhaps "" */
};

/*
 * -EINVAL with a reason, which does not quote what may hold a password. It looks only as closely as
 * a mistake needs to be seen; libcurl has the last word.
 */
static int parse_url(const char *text, struct url *ret_url, struct err *err)
{
    struct url url = {.tls = strncasecmp(text, "https://", 8) == 0};
    const char *host, *end, *port;
    uint64_t number;

    if (!url.tls && strncasecmp(text, "http://", 7) != 0)
        return err_set(err, EINVAL, "\"%.100s\" is no http:// or https:// URL", text);
    if (strpbrk(text, " \"<>\\") != NULL)
        return err_set(err, EINVAL, "is no URL: it holds a blank, a quote or a backslash");
    host = text + (url.tls ? 8 : 7);
    url.path = host + strcspn(host, "/?#");
    if (memchr(host, '@', (size_t)(url.path - host)) != NULL)
        return err_set(err, EINVAL,
                       "is a URL with a user or password in it: keys belong into otlp.api_key");
    end = *host == '[' ? memchr(host, ']', (size_t)(url.path - host)) : NULL;
    port = end != NULL ? end + 1 : host + strcspn(host, ":/?#");
    if (*host == '[') {
        host++;
        if (end == NULL)
            return err_set(err, EINVAL, "is no URL: the ] after the address is missing");
    } else {
        end = port;
    }
    if (end == host || (size_t)(end - host) >= sizeof(url.host))
        return err_set(err, EINVAL, "is a URL without a host");
    if (port < url.path &&
        (*port != ':' ||
         num_parse_u64(slice_of(port + 1, (size_t)(url.path - port - 1)), &number) < 0 ||
         number == 0 || number > 65535))
        return err_set(err, EINVAL, "is a URL with a bad port");
    memcpy(url.host, host, (size_t)(end - host));
    *ret_url = url;
    return 0;
}

static void check_endpoint(const struct options *o, struct option_report *report)
{
    struct option_place place = options_place(o, OPT_OTLP_ENDPOINT);
    const char *endpoint = options_string(o, OPT_OTLP_ENDPOINT);
    struct err err = {0};
    struct url url;

    if (*endpoint == '\0' || options_is_broken(o, OPT_OTLP_ENDPOINT))
        return;
    if (parse_url(endpoint, &url, &err) < 0) {
        option_report_add(report, OPTION_ERROR, place, "otlp.endpoint", "%s", err.text);
        return;
    }
    if (url.path[0] == '\0' || strcmp(url.path, "/") == 0)
        option_report_add(report, OPTION_WARNING, place, "otlp.endpoint",
                          "\"%s\" has no path; it is used as it stands, and most servers take logs "
                          "at /v1/logs",
                          endpoint);
    if (!url.tls && options_secret(o, OPT_OTLP_API_KEY).n > 0 && !is_loopback(url.host) &&
        strcasecmp(url.host, "localhost") != 0)
        option_report_add(report, OPTION_WARNING, place, "otlp.endpoint",
                          "the API key goes to %s in the clear: use https://", url.host);
    if (options_is(o, OPT_RECORD_TRACE_ID, "verbatim"))
        option_report_add(
            report, OPTION_WARNING, options_place(o, OPT_RECORD_TRACE_ID), "record.trace_id",
            options_is(o, OPT_OTLP_ENCODING, "json")
                ? "\"verbatim\" sends ids that are none to %s too; servers that check "
                  "them refuse the whole request"
                : "\"verbatim\" shows in JSON outputs only; the OTLP requests to %s leave "
                  "such ids out",
            url.host);
}

/* The shipper is confined to the folders of its files: / would be no confinement. */
static void check_folder(const struct options *o, enum option_id id, struct option_report *report)
{
    const char *path = options_string(o, id);

    if (*path != '\0' && strrchr(path, '/') == path)
        option_report_add(report, OPTION_ERROR, options_place(o, id), option_path(id),
                          "\"%s\" stands in /; put it into a folder of its own", path);
}

/* In production the file output must be asked for; nobody should find out later that his logs
 * only ever went to a local file. */
static void check_outputs(const struct options *o, struct option_report *report)
{
    if (options_is(o, OPT_ENVIRONMENT, "development") || options_is_broken(o, OPT_ENVIRONMENT) ||
        *options_string(o, OPT_OTLP_ENDPOINT) != '\0' ||
        options_origin(o, OPT_FILE_PATH) != OPTION_FROM_DEFAULT ||
        options_is_broken(o, OPT_OTLP_ENDPOINT) || options_is_broken(o, OPT_OTLP_API_KEY) ||
        options_is_broken(o, OPT_FILE_PATH))
        return;
    option_report_add(report, OPTION_ERROR, (struct option_place){0}, NULL,
                      "no output: production needs a place to send the logs to: set DASH0_API_KEY "
                      "(otlp.api_key), or DASH0_LOGS_ENDPOINT (otlp.endpoint), or file.path, or "
                      "set NODE_ENV=development");
}

static void check_order(const struct options *o, struct option_report *report)
{
    uint64_t lanes = options_int(o, OPT_PROCESSOR_COUNT);
    uint64_t segment = options_size(o, OPT_JOURNAL_SEGMENT_SIZE);
    char text[32];

    if (options_time_ms(o, OPT_RETRY_MIN) > options_time_ms(o, OPT_RETRY_MAX))
        option_report_add(report, OPTION_ERROR,
                          options_place(o, options_origin(o, OPT_RETRY_MAX) == OPTION_FROM_DEFAULT
                                               ? OPT_RETRY_MIN
                                               : OPT_RETRY_MAX),
                          "retry.max", "is %s, less than retry.min, which is %s",
                          options_show(o, OPT_RETRY_MAX, text, sizeof(text)),
                          options_show(o, OPT_RETRY_MIN, (char[32]){0}, 32));
    /* Each lane fills one segment and has the next one prepared. */
    if (options_size(o, OPT_JOURNAL_TOTAL_LIMIT) < 2 * lanes * segment)
        option_report_add(report, OPTION_ERROR, options_place(o, OPT_JOURNAL_TOTAL_LIMIT),
                          "journal.total_limit",
                          "is %s, too little for two segments of %s (journal.segment_size) for "
                          "each of %llu processors",
                          options_show(o, OPT_JOURNAL_TOTAL_LIMIT, text, sizeof(text)),
                          options_show(o, OPT_JOURNAL_SEGMENT_SIZE, (char[32]){0}, 32),
                          (unsigned long long)lanes);
}

/* The processor takes it apart; here it is only seen that it can. */
static void check_resource(const struct options *o, struct option_report *report)
{
    const char *text = options_string(o, OPT_RESOURCE_ATTRIBUTES);
    unsigned count = 0;

    while (*text != '\0') {
        size_t n = strcspn(text, ","), blank = strspn(text, " \t");
        size_t name = strcspn(text, "=,");

        if (blank < n && (text[name] != '=' || blank == name))
            option_report_add(report, OPTION_ERROR, options_place(o, OPT_RESOURCE_ATTRIBUTES),
                              "resource.attributes", "\"%.*s\" is no KEY=VALUE",
                              (int)(n > 60 ? 60 : n), text);
        count++;
        text += n + (text[n] == ',');
    }
    if (count > OPTIONS_MAX_RESOURCE)
        option_report_add(report, OPTION_ERROR, options_place(o, OPT_RESOURCE_ATTRIBUTES),
                          "resource.attributes", "has more than %u attributes",
                          OPTIONS_MAX_RESOURCE);
}

static void check_not_empty(const struct options *o, struct option_report *report)
{
    const struct sockaddr_un *address = NULL;

    if (*options_string(o, OPT_ENVIRONMENT) == '\0')
        option_report_add(report, OPTION_ERROR, options_place(o, OPT_ENVIRONMENT), "environment",
                          "is empty: write production, development, or another name");
    if (*options_string(o, OPT_DATA_DIR) == '\0')
        option_report_add(report, OPTION_ERROR, options_place(o, OPT_DATA_DIR), "data_dir",
                          "is empty: name the directory for the journal");
    if (*options_string(o, OPT_CONTROL_PATH) == '\0')
        option_report_add(report, OPTION_ERROR, options_place(o, OPT_CONTROL_PATH), "control.path",
                          "is empty: name the socket that sluicectl speaks to");
    if (strlen(options_string(o, OPT_CONTROL_PATH)) >= sizeof(address->sun_path))
        option_report_add(report, OPTION_ERROR, options_place(o, OPT_CONTROL_PATH), "control.path",
                          "is longer than the %zu bytes that a socket's path may have",
                          sizeof(address->sun_path) - 1);
}

int options_check(const struct options *options, struct option_report *report)
{
    check_forward(options, report);
    check_resource(options, report);
    check_outputs(options, report);
    check_endpoint(options, report);
    check_folder(options, OPT_FILE_PATH, report);
    check_folder(options, OPT_OTLP_CA_FILE, report);
    check_order(options, report);
    check_not_empty(options, report);
    return check_access(options, report);
}
