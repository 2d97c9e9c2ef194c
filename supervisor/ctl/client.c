#include "supervisor/ctl/client.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/base/fd.h"
#include "supervisor/control.h"

static int connect_to(const char *path, int *ret_fd, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd, r;

    if (strlen(path) >= sizeof(address.sun_path))
        return err_set(err, ENAMETOOLONG, "%s: the path is too long for a socket", path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, errno, "socket");
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        *ret_fd = fd;
        return 0;
    }
    r = -errno;
    fd_close(&fd);
    if (r == -EACCES)
        return err_set(err, EACCES, "%s: only root, sluiced's user and its group may", path);
    if (r == -ENOENT || r == -ECONNREFUSED)
        return err_set(err, ECONNREFUSED, "no sluiced answers on %s", path);
    return err_errno(err, -r, "%s", path);
}

static int send_words(int fd, const char *const *words, size_t count, struct err *err)
{
    char packet[CONTROL_REQUEST_BYTES];
    size_t n = 0;

    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(words[i]) + 1;

        if (length > sizeof(packet) - n)
            return err_set(err, EINVAL, "the request is too long");
        memcpy(packet + n, words[i], length);
        n += length;
    }
    /* EPIPE: refused before it was asked; the reason is there to be read. */
    if (send(fd, packet, n, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        return err_errno(err, errno, "request");
    return 0;
}

static int receive_reply(int fd, bool *ret_done, char **ret_text, struct err *err)
{
    char *packet = malloc(CONTROL_REPLY_BYTES + 2);
    bool reset = false, again;
    ssize_t n;

    if (packet == NULL)
        return err_set(err, ENOMEM, "out of memory");
    /*
     * A refusal may leave our request unread: the kernel then tells of the reset first, once, and
     * of the reply after it.
     */
    do {
        n = recv(fd, packet, CONTROL_REPLY_BYTES + 1, MSG_TRUNC);
        again = n < 0 && (errno == EINTR || (errno == ECONNRESET && !reset));
        reset = reset || (n < 0 && errno == ECONNRESET);
    } while (again);
    if (n <= 0 || (size_t)n > CONTROL_REPLY_BYTES) {
        free(packet);
        if (n > 0)
            return err_set(err, EPROTO, "the reply is too long");
        return n < 0 ? err_errno(err, errno, "reply")
                     : err_set(err, ECONNRESET, "sluiced closed the connection without a reply");
    }
    *ret_done = packet[0] == CONTROL_DONE;
    memmove(packet, packet + 1, (size_t)n - 1);
    packet[n - 1] = '\0';
    *ret_text = packet;
    return 0;
}

int client_ask(const char *path, const char *const *words, size_t count, bool *ret_done,
               char **ret_text, struct err *err)
{
    int fd = -1;
    int r = connect_to(path, &fd, err);

    if (r == 0)
        r = send_words(fd, words, count, err);
    if (r == 0)
        r = receive_reply(fd, ret_done, ret_text, err);
    fd_close(&fd);
    return r;
}
