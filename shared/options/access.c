#include "shared/options/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/secret.h"
#include "shared/options/option_list.h"
#include "shared/options/options_internal.h"

/* A name and zeros, for comparisons that always take as long. */
union access_name {
    char bytes[ACCESS_NAME_BYTES];
    uint64_t words[ACCESS_NAME_BYTES / sizeof(uint64_t)];
};

struct access_user {
    struct slice name, password;
    union access_name padded;
};

struct access_client {
    struct slice host, network; /* as given: one of them */
    struct network where;
    bool is_good; /* `where` is known */
    struct slice shared_key;
    unsigned *users; /* by their number; owned */
    size_t user_count;
};

struct access {
    struct secret clients_text, users_text, shared_key;
    struct access_client *clients;
    size_t client_count;
    struct access_user *users;
    size_t user_count;
    bool allows_unknown;
};

/* While it is made. */
struct load {
    const struct options *options;
    struct option_report *report;
    struct access *access;
};

#define MISTAKE(load, id, ...)                                                            \
    option_report_add((load)->report, OPTION_ERROR, options_place((load)->options, (id)), \
                      option_path(id), __VA_ARGS__)

/* ---- the lists ---- */

static size_t count_elements(struct slice text)
{
    struct option_list_entry entry = {0};
    struct slice rest = text;
    size_t count = 0;

    while (option_list_next(&rest, &entry))
        count = entry.element;
    return count;
}

static int read_users(struct access *access)
{
    struct slice rest = secret_slice(&access->users_text);
    struct option_list_entry entry = {0};

    access->user_count = count_elements(rest);
    access->users = calloc(access->user_count + 1, sizeof(*access->users));
    if (access->users == NULL)
        return -ENOMEM;
    while (option_list_next(&rest, &entry)) {
        struct access_user *user = &access->users[entry.element - 1];

        if (slice_is(entry.name, "password"))
            user->password = entry.value;
        else
            user->name = entry.value;
    }
    return 0;
}

static void check_users(const struct load *load)
{
    const struct access *access = load->access;

    for (size_t i = 0; i < access->user_count; i++) {
        struct access_user *user = &access->users[i];

        if (user->name.n == 0)
            MISTAKE(load, OPT_FORWARD_USERS, "element %zu: has no name", i + 1);
        if (user->password.n == 0)
            MISTAKE(load, OPT_FORWARD_USERS, "element %zu: has no password", i + 1);
        if (user->name.n >= sizeof(user->padded.bytes))
            MISTAKE(load, OPT_FORWARD_USERS, "element %zu: its name has more than %zu bytes", i + 1,
                    sizeof(user->padded.bytes) - 1);
        else if (user->name.n > 0)
            memcpy(user->padded.bytes, user->name.p, user->name.n);
        for (size_t k = 0; k < i && user->name.n > 0; k++)
            if (slice_equal(user->name, access->users[k].name))
                MISTAKE(load, OPT_FORWARD_USERS, "element %zu: has the same name as element %zu",
                        i + 1, k + 1);
    }
}

static unsigned find_user(const struct access *access, struct slice name)
{
    unsigned i = 0;

    while (i < access->user_count && !slice_equal(access->users[i].name, name))
        i++;
    return i;
}

/* A user that a client names. */
static int add_user(const struct load *load, struct access_client *client, struct slice name)
{
    size_t number = (size_t)(client - load->access->clients) + 1;
    unsigned user = find_user(load->access, name);
    unsigned *users = reallocarray(client->users, client->user_count + 1, sizeof(*users));

    if (users == NULL)
        return -ENOMEM;
    client->users = users;
    if (user == load->access->user_count && !options_is_broken(load->options, OPT_FORWARD_USERS))
        MISTAKE(load, OPT_FORWARD_CLIENTS, "element %zu: its user %zu is not in forward.users",
                number, client->user_count + 1);
    for (size_t i = 0; i < client->user_count && user < load->access->user_count; i++)
        if (users[i] == user)
            MISTAKE(load, OPT_FORWARD_CLIENTS, "element %zu: its users %zu and %zu are the same",
                    number, i + 1, client->user_count + 1);
    users[client->user_count++] = user;
    return 0;
}

static int take_entry(const struct load *load, struct access_client *client,
                      const struct option_list_entry *entry)
{
    if (slice_is(entry->name, "users"))
        return add_user(load, client, entry->value);
    if (slice_is(entry->name, "host"))
        client->host = entry->value;
    else if (slice_is(entry->name, "network"))
        client->network = entry->value;
    else
        client->shared_key = entry->value;
    return 0;
}

static int read_clients(const struct load *load)
{
    struct access *access = load->access;
    struct slice rest = secret_slice(&access->clients_text);
    struct option_list_entry entry = {0};
    int r = 0;

    access->client_count = count_elements(rest);
    access->clients = calloc(access->client_count + 1, sizeof(*access->clients));
    if (access->clients == NULL)
        return -ENOMEM;
    while (r == 0 && option_list_next(&rest, &entry))
        r = take_entry(load, &access->clients[entry.element - 1], &entry);
    return r;
}

/* Where the client may be; a mistake leaves it not good. */
static void check_place(const struct load *load, struct access_client *client)
{
    size_t number = (size_t)(client - load->access->clients) + 1;
    bool by_host = client->host.n > 0;
    int r;

    if (by_host == (client->network.n > 0)) {
        MISTAKE(load, OPT_FORWARD_CLIENTS, "element %zu: needs %s", number,
                by_host ? "a host or a network, not both" : "a host or a network");
        return;
    }
    r = network_parse(by_host ? client->host : client->network, &client->where);
    if (by_host && (r < 0 || memchr(client->host.p, '/', client->host.n) != NULL)) {
        MISTAKE(load, OPT_FORWARD_CLIENTS,
                "element %zu: host is not an address: names are not looked up here; write 10.1.2.3 "
                "or 2001:db8::7",
                number);
    } else if (r < 0) {
        MISTAKE(load, OPT_FORWARD_CLIENTS,
                "element %zu: network is none: write an address and the length of its prefix, "
                "10.0.0.0/8 or 2001:db8::/32",
                number);
    } else {
        client->is_good = true;
        if (r > 0)
            option_report_add(load->report, OPTION_WARNING,
                              options_place(load->options, OPT_FORWARD_CLIENTS), "forward.clients",
                              "element %zu: the bits of network behind its prefix do not count",
                              number);
    }
}

static void check_clients(const struct load *load)
{
    const struct access *access = load->access;

    for (size_t i = 0; i < access->client_count; i++) {
        struct access_client *client = &access->clients[i];

        check_place(load, client);
        for (size_t k = 0; k < i && client->is_good; k++)
            if (access->clients[k].is_good &&
                network_equal(&client->where, &access->clients[k].where))
                MISTAKE(load, OPT_FORWARD_CLIENTS,
                        "element %zu: is the same host or network as element %zu", i + 1, k + 1);
        if (client->shared_key.n == 0 && access->shared_key.n == 0 &&
            !options_is_broken(load->options, OPT_FORWARD_SHARED_KEY))
            MISTAKE(load, OPT_FORWARD_CLIENTS,
                    "element %zu: has no shared_key, and forward.shared_key is empty", i + 1);
    }
}

/* Who is not in the list. */
static void check_unknown(const struct load *load)
{
    const struct access *access = load->access;
    enum option_id id = access->client_count > 0 ? OPT_FORWARD_CLIENTS : OPT_FORWARD_USERS;

    if (!access->allows_unknown && access->client_count == 0)
        MISTAKE(load, OPT_FORWARD_ALLOW_UNKNOWN_CLIENTS,
                "is false, and forward.clients is empty: nobody could send");
    if (access->allows_unknown && access->shared_key.n == 0 &&
        access->client_count + access->user_count > 0)
        MISTAKE(load, id,
                "needs forward.shared_key for the clients that forward.clients does not name, or "
                "forward.allow_unknown_clients = false");
}

static int keep(struct secret *secret, const struct options *options, enum option_id id)
{
    return secret_set(secret, options_secret(options, id));
}

static int load_all(const struct load *load)
{
    struct access *access = load->access;
    const struct options *options = load->options;
    size_t errors = load->report->errors;
    int r = keep(&access->shared_key, options, OPT_FORWARD_SHARED_KEY);

    if (r == 0)
        r = keep(&access->clients_text, options, OPT_FORWARD_CLIENTS);
    if (r == 0)
        r = keep(&access->users_text, options, OPT_FORWARD_USERS);
    if (r == 0)
        r = read_users(access);
    if (r == 0)
        r = read_clients(load);
    if (r < 0)
        return r;
    access->allows_unknown = options_bool(options, OPT_FORWARD_ALLOW_UNKNOWN_CLIENTS);
    check_users(load);
    check_clients(load);
    if (!options_is_broken(options, OPT_FORWARD_CLIENTS) &&
        !options_is_broken(options, OPT_FORWARD_USERS) &&
        !options_is_broken(options, OPT_FORWARD_SHARED_KEY) &&
        !options_is_broken(options, OPT_FORWARD_ALLOW_UNKNOWN_CLIENTS))
        check_unknown(load);
    return load->report->errors > errors ? -EINVAL : 0;
}

int access_load(const struct options *options, struct option_report *report,
                struct access **ret_access)
{
    struct load load = {
        .options = options, .report = report, .access = calloc(1, sizeof(*load.access))};
    int r = load.access != NULL ? load_all(&load) : -ENOMEM;

    if (r < 0) {
        access_free(&load.access);
        return r;
    }
    *ret_access = load.access;
    return 0;
}

void access_free(struct access **access)
{
    struct access *a = *access;

    *access = NULL;
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->client_count && a->clients != NULL; i++)
        free(a->clients[i].users);
    free(a->clients);
    free(a->users);
    secret_fini(&a->shared_key);
    secret_fini(&a->clients_text);
    secret_fini(&a->users_text);
    free(a);
}

/* ---- questions ---- */

bool access_is_open(const struct access *access)
{
    return access->shared_key.n == 0 && access->client_count == 0 && access->user_count == 0;
}

bool access_asks_user(const struct access *access)
{
    return access->user_count > 0;
}

const char *access_describe(const struct access *access, char *text, size_t size)
{
    if (access_is_open(access))
        snprintf(text, size, "everybody, without a handshake");
    else
        snprintf(text, size, "%s forward.shared_key, %zu clients in forward.clients%s, %zu users",
                 access->shared_key.n > 0 ? "with" : "without", access->client_count,
                 access->allows_unknown ? "" : " and no others", access->user_count);
    return text;
}

bool access_admit(const struct access *access, const struct network *address,
                  struct access_grant *ret_grant)
{
    const struct access_client *best = NULL;

    for (size_t i = 0; i < access->client_count; i++) {
        const struct access_client *client = &access->clients[i];

        if (network_contains(&client->where, address) &&
            (best == NULL || client->where.prefix > best->where.prefix))
            best = client;
    }
    if (best == NULL && !access->allows_unknown)
        return false;
    ret_grant->client = best;
    ret_grant->shared_key = best != NULL && best->shared_key.n > 0
                                ? best->shared_key
                                : secret_slice(&access->shared_key);
    return true;
}

static bool may_come_as(const struct access_client *client, size_t user)
{
    bool may = client == NULL || client->user_count == 0;

    for (size_t i = 0; client != NULL && i < client->user_count; i++)
        may |= client->users[i] == user;
    return may;
}

static bool is_same_name(const union access_name *a, const union access_name *b)
{
    uint64_t difference = 0;

    for (size_t i = 0; i < sizeof(a->words) / sizeof(a->words[0]); i++)
        difference |= a->words[i] ^ b->words[i];
    return difference == 0;
}

bool access_password(const struct access *access, const struct access_grant *grant,
                     struct slice name, struct slice *ret_password)
{
    union access_name wanted = {{0}};
    bool fits = name.n > 0 && name.n < sizeof(wanted.bytes) && memchr(name.p, '\0', name.n) == NULL;
    size_t found = 0;
    bool is_there = false;

    if (fits)
        memcpy(wanted.bytes, name.p, name.n);
    /* All of them, also behind the one. */
    for (size_t i = 0; i < access->user_count; i++) {
        bool same = is_same_name(&wanted, &access->users[i].padded);

        found = same ? i : found;
        is_there |= same;
    }
    *ret_password = access->users[found].password;
    return is_there & may_come_as(grant->client, found);
}
