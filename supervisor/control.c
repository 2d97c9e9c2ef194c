#include "supervisor/control.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "shared/base/log.h"

#define REQUEST_PATIENCE_US (10u * 1000000u)
#define PEER_GROUPS_MAX 128

struct control_client {
    struct control *control;
    int fd;
    sd_event_source *source, *patience;
    struct control_request *request; /* under way */
};

struct control_request {
    struct control_client *client; /* NULL: has gone */
};

struct control {
    sd_event *event;
    sd_event_source *source;
    int fd;
    gid_t group;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    bool bound;
    control_handler *handler;
    void *data;
    struct control_client *clients[CONTROL_CLIENTS];
};

/* ---- clients ---- */

static void client_free(struct control_client *client)
{
    struct control *control = client->control;

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (control->clients[i] == client)
            control->clients[i] = NULL;
    if (client->request != NULL)
        client->request->client = NULL;
    sd_event_source_disable_unref(client->source);
    sd_event_source_disable_unref(client->patience);
    fd_close(&client->fd);
    free(client);
}

static void send_reply(struct control_client *client, char kind, const char *text)
{
    struct iovec parts[2] = {{&kind, 1}, {(void *)(uintptr_t)text, strlen(text)}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_warn("control: reply of %zu bytes not sent: %s", parts[1].iov_len, strerror(errno));
}

void control_reply(struct control_request *request, char kind, const char *text)
{
    struct control_client *client = request->client;

    free(request);
    if (client == NULL)
        return;
    client->request = NULL;
    send_reply(client, kind, text);
    client_free(client);
}

int control_parse(char *packet, size_t n, const char *words[CONTROL_WORDS])
{
    size_t at = 0;
    int count = 0;

    if (n == 0 || n > CONTROL_REQUEST_BYTES || packet[n - 1] != '\0')
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (packet[i] != '\0' && (packet[i] < 0x20 || packet[i] > 0x7e))
            return -EINVAL;
    while (at < n) {
        if (count == (int)CONTROL_WORDS || packet[at] == '\0')
            return -EINVAL;
        words[count++] = packet + at;
        at += strlen(packet + at) + 1;
    }
    return count;
}

static void take_request(struct control_client *client, char *packet, size_t n)
{
    const char *words[CONTROL_WORDS];
    struct control_request *request;
    int count = control_parse(packet, n, words);

    client->patience = sd_event_source_disable_unref(client->patience);
    if (count < 0 || client->request != NULL) {
        send_reply(client, CONTROL_REFUSED, "malformed request");
        client_free(client);
        return;
    }
    request = calloc(1, sizeof(*request));
    if (request == NULL) {
        client_free(client);
        return;
    }
    request->client = client;
    client->request = request;
    client->control->handler(client->control->data, request, words, (size_t)count);
}

static int on_client(sd_event_source *source, int fd, uint32_t revents, void *data)
{
    struct control_client *client = data;
    char packet[CONTROL_REQUEST_BYTES + 1];
    ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);

    (void)source;
    (void)revents;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0)
        client_free(client);
    else
        take_request(client, packet, (size_t)n);
    return 0;
}

static int on_patience(sd_event_source *source, uint64_t usec, void *data)
{
    (void)source;
    (void)usec;
    client_free(data);
    return 0;
}

static bool peer_may(const struct control *control, int fd)
{
    struct ucred peer;
    gid_t groups[PEER_GROUPS_MAX];
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return false;
    if (peer.uid == 0 || peer.uid == geteuid() || peer.gid == control->group)
        return true;
    size = sizeof(groups);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
        return false;
    for (size_t i = 0; i < size / sizeof(groups[0]); i++)
        if (groups[i] == control->group)
            return true;
    return false;
}

static int client_new(struct control *control, int fd)
{
    struct control_client *client = calloc(1, sizeof(*client));
    int size = 1 << 20;
    unsigned place = 0;
    int r;

    if (client == NULL) {
        fd_close(&fd);
        return -ENOMEM;
    }
    client->control = control;
    client->fd = fd;
    /* A reply must fit whole; the kernel cuts this to what it allows. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    while (place < CONTROL_CLIENTS && control->clients[place] != NULL)
        place++;
    if (place == CONTROL_CLIENTS) {
        send_reply(client, CONTROL_REFUSED, "too many control connections");
        client_free(client);
        return 0;
    }
    control->clients[place] = client;
    r = sd_event_add_io(control->event, &client->source, fd, EPOLLIN, on_client, client);
    if (r >= 0)
        r = sd_event_add_time_relative(control->event, &client->patience, CLOCK_MONOTONIC,
                                       REQUEST_PATIENCE_US, 100000, on_patience, client);
    if (r < 0)
        client_free(client);
    return r;
}

static int on_connection(sd_event_source *source, int fd, uint32_t revents, void *data)
{
    struct control *control = data;
    int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    int r;

    (void)source;
    (void)revents;
    if (client < 0)
        return 0;
    if (!peer_may(control, client)) {
        log_warn("control: a connection of another user was refused");
        fd_close(&client);
        return 0;
    }
    r = client_new(control, client);
    if (r < 0)
        log_warn("control: %s", strerror(-r));
    return 0;
}

/* ---- the socket ---- */

/* The folder of the socket; those above it must be there or are made as for any service. */
static int make_folder(const char *path, struct err *err)
{
    char copy[PATH_MAX];

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0755) < 0 && errno != EEXIST)
            return err_errno(err, errno, "control.path: cannot make the folder %s", copy);
        *slash = '/';
    }
    return 0;
}

/* Removes what is left of a sluiced that died. Never a socket that answers, nor anything else. */
static int remove_stale(const struct sockaddr_un *address, struct err *err)
{
    struct stat st;
    int fd, r;

    if (lstat(address->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, "control.path: %s", address->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, EEXIST, "control.path: %s exists and is no socket", address->sun_path);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, errno, "control.path: socket");
    r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    fd_close(&fd);
    if (r != -ECONNREFUSED && r != -ENOENT)
        return err_set(err, EADDRINUSE, "control.path: another program answers on %s",
                       address->sun_path);
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return err_errno(err, errno, "control.path: %s", address->sun_path);
    return 0;
}

static int listen_at(struct control *control, const struct sockaddr_un *address, struct err *err)
{
    mode_t before;
    int r;

    control->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (control->fd < 0)
        return err_errno(err, errno, "control.path: socket");
    before = umask(0117);
    r = bind(control->fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
    umask(before);
    if (r < 0)
        return err_errno(err, -r, "control.path: cannot bind %s", address->sun_path);
    control->bound = true;
    if (control->group != getegid() && lchown(address->sun_path, (uid_t)-1, control->group) < 0)
        return err_errno(err, errno, "control.path: group of %s", address->sun_path);
    if (listen(control->fd, CONTROL_CLIENTS) < 0)
        return err_errno(err, errno, "control.path: listen");
    return 0;
}

int control_open(sd_event *event, const char *path, gid_t group, control_handler *handler,
                 void *data, struct control **ret_control, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control *control;
    int r;

    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, ENAMETOOLONG, "control.path: longer than %zu bytes",
                       sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    r = make_folder(path, err);
    if (r == 0)
        r = remove_stale(&address, err);
    if (r < 0)
        return r;
    control = calloc(1, sizeof(*control));
    if (control == NULL)
        return err_set(err, ENOMEM, "out of memory");
    control->event = sd_event_ref(event);
    control->group = group;
    control->handler = handler;
    control->data = data;
    memcpy(control->path, address.sun_path, sizeof(control->path));
    r = listen_at(control, &address, err);
    if (r == 0) {
        r = sd_event_add_io(event, &control->source, control->fd, EPOLLIN, on_connection, control);
        if (r < 0)
            err_errno(err, -r, "control.path: event loop");
    }
    if (r < 0)
        control_close(&control);
    else
        *ret_control = control;
    return r < 0 ? r : 0;
}

void control_close(struct control **control)
{
    struct control *c = *control;

    if (c == NULL)
        return;
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (c->clients[i] != NULL)
            client_free(c->clients[i]);
    sd_event_source_disable_unref(c->source);
    fd_close(&c->fd);
    if (c->bound)
        unlink(c->path);
    sd_event_unref(c->event);
    free(c);
    *control = NULL;
}
