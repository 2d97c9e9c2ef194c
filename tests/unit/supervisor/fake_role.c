/*
 * A stage that does nothing but what a test tells it, to test sluiced with. It is linked as
 * sluice-receiver, sluice-processor and sluice-shipper into a folder that libexec_dir names, and
 * takes its role from its own name. In that folder it
 *
 *     reads    do.ROLE     one word: crash, config, fail, hang, stubborn, slow; or nothing
 *     appends  events      one line for everything that happens to it
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/ipc/lane_page.h"
#include "shared/ipc/ring.h"
#include "shared/ipc/status_page.h"
#include "shared/role/exit.h"
#include "shared/role/role.h"

static struct {
    char folder[PATH_MAX];
    char name[32];
    char word[32];
    int events;
    bool hang_now;
} fake;

static void event(struct role_context *context, const char *words)
{
    char line[256];
    int n = snprintf(line, sizeof(line), "%s.%u %s\n", fake.name, role_index(context), words);

    (void)!write(fake.events, line, (size_t)n);
}

static void read_word(void)
{
    char path[PATH_MAX + 64];
    FILE *file;

    snprintf(path, sizeof(path), "%s/do.%s", fake.folder, fake.name);
    file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fscanf(file, "%31s", fake.word) != 1)
        fake.word[0] = '\0';
    fclose(file);
}

/* Every descriptor of the role must be there and be what its name says. */
static int check_descriptors(struct role_context *context, struct err *err)
{
    static const struct {
        const char *role, *name;
    } wanted[] = {
        {"receiver", "listen.forward.0"}, {"receiver", "ring.0"},
        {"receiver", "door.processor.0"}, {"receiver", "door.receiver"},
        {"processor", "ring.0"},          {"processor", "door.processor"},
        {"processor", "door.receiver.0"}, {"processor", "door.shipper"},
        {"processor", "lane_page"},       {"processor", "lock"},
        {"processor", "lock.lane"},       {"shipper", "lane_page.0"},
        {"shipper", "door.shipper"},      {"shipper", "lock"},
    };
    struct ring *ring = NULL;
    struct lane_page *page = NULL;
    int r = 0;

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        if (strcmp(wanted[i].role, fake.name) == 0 && role_fd(context, wanted[i].name) < 0)
            return err_set(err, ENOENT, "no descriptor %s", wanted[i].name);
    if (role_fd(context, "ring.0") >= 0)
        r = ring_open(role_fd(context, "ring.0"), &ring, err);
    if (r == 0 && role_fd(context, "lane_page") >= 0)
        r = lane_page_open(role_fd(context, "lane_page"), true, &page, err);
    if (r == 0 && role_fd(context, "lane_page.0") >= 0)
        r = lane_page_open(role_fd(context, "lane_page.0"), false, &page, err);
    ring_close(&ring);
    lane_page_close(&page);
    return r;
}

/* Exactly: 0 to 3, and those that came over the control channel and the loop's own. */
static void note_inherited(struct role_context *context)
{
    char words[64];
    int odd = 0;

    for (int fd = 4; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0)
            odd++;
    snprintf(words, sizeof(words), "inherited %d", odd);
    event(context, words);
    event(context, getenv("FLUENTD_SHARED_KEY") == NULL ? "environment clean" : "ENVIRONMENT");
    event(context, getenv("NOTIFY_SOCKET") == NULL ? "no notify" : "NOTIFY");
}

static int prepare(struct role_context *context, void **ret_state, struct err *err)
{
    char path[PATH_MAX + 64];

    (void)ret_state;
    read_word();
    snprintf(path, sizeof(path), "%s/events", fake.folder);
    fake.events = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fake.events < 0)
        return err_errno(err, errno, "%s", path);
    event(context, "prepare");
    note_inherited(context);
    if (strcmp(fake.word, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would report it */
        raise(SIGSEGV);
    }
    if (strcmp(fake.word, "fail") == 0)
        return err_set(err, EIO, "told to fail");
    if (strcmp(fake.word, "config") == 0)
        role_fail(context, EXIT_CONFIG, "told to refuse");
    return check_descriptors(context, err);
}

static int on_hang(sd_event_source *source, void *data)
{
    (void)source;
    event(data, "hang");
    for (;;)
        fake.hang_now = true;
    return 0;
}

static int start(struct role_context *context, void *state, struct err *err)
{
    char words[128];

    (void)state;
    (void)err;
    snprintf(words, sizeof(words), "start key=%zu", role_secret(context, OPT_FORWARD_SHARED_KEY).n);
    event(context, words);
    if (strcmp(fake.word, "hang") == 0)
        return sd_event_add_defer(role_event(context), NULL, on_hang, context);
    return 0;
}

static int on_slow(sd_event_source *source, uint64_t usec, void *data)
{
    (void)source;
    (void)usec;
    event(data, "drained");
    role_drained(data);
    return 0;
}

static void drain(struct role_context *context, void *state, enum drain_reason reason,
                  uint64_t deadline_ns)
{
    static const char *const words[] = {"drain stop", "drain restart", "drain orphaned"};

    (void)state;
    event(context, words[reason]);
    if (deadline_ns > clock_monotonic_ns() + 3600 * NS_PER_S)
        event(context, "DEADLINE");
    if (strcmp(fake.word, "stubborn") == 0)
        return;
    if (strcmp(fake.word, "slow") == 0) {
        sd_event_add_time_relative(role_event(context), NULL, CLOCK_MONOTONIC, 300000, 1000,
                                   on_slow, context);
        return;
    }
    event(context, "drained");
    role_drained(context);
}

static void reload(struct role_context *context, void *state)
{
    char words[128];

    (void)state;
    snprintf(words, sizeof(words), "reload %s key=%zu",
             options_string(role_options(context), OPT_LOG_LEVEL),
             role_secret(context, OPT_FORWARD_SHARED_KEY).n);
    event(context, words);
}

int main(int argc, char **argv)
{
    static struct role role = {
        .prepare = prepare, .start = start, .drain = drain, .reload = reload};
    const char *slash = strrchr(argv[0], '/');

    if (slash == NULL || strncmp(slash, "/sluice-", 8) != 0) {
        fprintf(stderr, "fake-role: link me as sluice-ROLE\n");
        return EXIT_MISUSE;
    }
    snprintf(fake.folder, sizeof(fake.folder), "%.*s", (int)(slash - argv[0]), argv[0]);
    snprintf(fake.name, sizeof(fake.name), "%s", slash + 8);
    role.name = fake.name;
    return role_main(&role, argc, argv);
}
