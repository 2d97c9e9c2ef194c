#include "shared/role/role_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/fd.h"
#include "shared/ipc/status_page.h"

void role_config_init(struct role_config *config, const char *name, unsigned option_role)
{
    *config = (struct role_config){.name = name, .option_role = option_role};
}

void role_config_fini(struct role_config *config)
{
    options_free(&config->options);
    options_free(&config->next);
    for (size_t i = 0; i < config->retired_count; i++)
        options_free(&config->retired[i]);
    free(config->retired);
    for (size_t i = 0; i < config->fd_count; i++)
        fd_close(&config->fds[i].fd);
    role_config_init(config, config->name, config->option_role);
}

int role_config_fd(const struct role_config *config, const char *name)
{
    for (size_t i = 0; i < config->fd_count; i++)
        if (strcmp(config->fds[i].name, name) == 0)
            return config->fds[i].fd;
    return -ENOENT;
}

static int take_hello(struct role_config *config, struct slice body, struct err *err)
{
    struct message_hello hello;
    struct slice name;

    memcpy(&hello, body.p, sizeof(hello));
    name = slice_of(body.p + sizeof(hello), body.n - sizeof(hello));
    if (config->greeted)
        return err_set(err, EPROTO, "a second hello");
    if (hello.version != MESSAGE_VERSION)
        return err_set(err, EPROTO, "sluiced speaks version %u and this stage %u: restart sluiced",
                       hello.version, MESSAGE_VERSION);
    if (!slice_is(name, config->name))
        return err_set(err, EPROTO, "started as \"%.*s\", but this is the %s", (int)name.n,
                       (const char *)name.p, config->name);
    if (hello.slot >= STATUS_SLOTS || hello.incarnation == 0)
        return err_set(err, EPROTO, "a hello out of range");
    config->greeted = true;
    config->index = hello.index;
    config->slot = hello.slot;
    config->incarnation = hello.incarnation;
    return ROLE_CONFIG_MORE;
}

static int take_snapshot(struct role_config *config, struct slice body, struct err *err)
{
    int r;

    options_free(&config->next);
    r = options_from_snapshot(body, config->option_role, &config->next, err);
    return r < 0 ? r : ROLE_CONFIG_MORE;
}

static int take_secret(struct role_config *config, struct slice body, struct err *err)
{
    char path[96];
    enum option_id id;
    uint16_t n;
    int r;

    memcpy(&n, body.p, sizeof(n));
    if (n == 0 || n >= sizeof(path) || n > body.n - sizeof(n))
        return err_set(err, EPROTO, "a secret with a path out of range");
    memcpy(path, body.p + sizeof(n), n);
    path[n] = '\0';
    if (config->next == NULL)
        return err_set(err, EPROTO, "a secret before the options");
    r = option_by_path(path, &id);
    if (r == 0 && (option_roles(id) & config->option_role) == 0)
        r = -EINVAL;
    if (r == 0)
        r = options_set_secret(config->next, id,
                               slice_of(body.p + sizeof(n) + n, body.n - sizeof(n) - n));
    if (r < 0)
        return err_set(err, EINVAL, "a secret that is not for this stage, or no secret");
    return ROLE_CONFIG_MORE;
}

static int take_fd(struct role_config *config, struct channel_message *message, struct err *err)
{
    struct role_fd *entry;

    if (config->options != NULL)
        return err_set(err, EPROTO, "a descriptor after the start");
    if (config->fd_count == ROLE_FDS_MAX)
        return err_set(err, EPROTO, "more than %u descriptors", ROLE_FDS_MAX);
    if (memchr(message->body.p, '\0', message->body.n) != NULL)
        return err_set(err, EPROTO, "a descriptor's name with a NUL");
    entry = &config->fds[config->fd_count];
    memcpy(entry->name, message->body.p, message->body.n);
    entry->name[message->body.n] = '\0';
    if (role_config_fd(config, entry->name) >= 0)
        return err_set(err, EPROTO, "the descriptor %s twice", entry->name);
    entry->fd = message->fd;
    message->fd = -1;
    config->fd_count++;
    return ROLE_CONFIG_MORE;
}

static int take_go(struct role_config *config, struct err *err)
{
    if (!config->greeted || config->next == NULL || config->options != NULL)
        return err_set(err, EPROTO, "a start out of order");
    config->options = config->next;
    config->next = NULL;
    return ROLE_CONFIG_GO;
}

static int take_reload(struct role_config *config, struct err *err)
{
    struct options **retired;

    if (config->options == NULL || config->next == NULL)
        return err_set(err, EPROTO, "a reload out of order");
    retired = realloc(config->retired, (config->retired_count + 1) * sizeof(struct options *));
    if (retired == NULL)
        return err_set(err, ENOMEM, "out of memory");
    config->retired = retired;
    options_wipe_secrets(config->options);
    retired[config->retired_count++] = config->options;
    config->options = config->next;
    config->next = NULL;
    return ROLE_CONFIG_RELOADED;
}

int role_config_take(struct role_config *config, struct channel_message *message, struct err *err)
{
    int r;

    switch (message->type) {
    case MESSAGE_HELLO:
        r = take_hello(config, message->body, err);
        break;
    case MESSAGE_SNAPSHOT:
        r = take_snapshot(config, message->body, err);
        break;
    case MESSAGE_SECRET:
        r = take_secret(config, message->body, err);
        break;
    case MESSAGE_FD:
        r = take_fd(config, message, err);
        break;
    case MESSAGE_GO:
        r = take_go(config, err);
        break;
    case MESSAGE_RELOAD:
        r = take_reload(config, err);
        break;
    default:
        r = err_set(err, EPROTO, "a message %s that has no place here",
                    channel_type_name(message->type));
    }
    fd_close(&message->fd);
    if (r < 0)
        err_prefix(err, "from sluiced");
    return r;
}
