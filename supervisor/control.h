/*
 * control: the socket that sluicectl speaks to (control.path, SOCK_SEQPACKET).
 *
 * One request per connection: a packet of up to CONTROL_WORDS words of printable ASCII, each ended
 * by a NUL: the verb and its arguments. One reply: a packet that begins with '+' (done; JSON or
 * words follow) or '-' (refused; words follow). Who may ask: root, sluiced's own user, and members
 * of the socket's group; the kernel says who it is.
 */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <stddef.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "shared/base/err.h"

#define CONTROL_REQUEST_BYTES 1024u
#define CONTROL_REPLY_BYTES (192u << 10)
#define CONTROL_WORDS 8u
#define CONTROL_CLIENTS 16u
#define CONTROL_DONE '+'
#define CONTROL_REFUSED '-'

struct control;

/* A request under way. Whoever gets one calls control_reply exactly once, now or later. */
struct control_request;

/* words[0] is the verb; `count` words. Borrowed during the call. */
typedef void control_handler(void *data, struct control_request *request, const char *const *words,
                             size_t count);

/*
 * Makes the folder where it is missing, replaces a socket that nobody answers on, listens.
 * group: of the socket. -EADDRINUSE: another sluiced answers there.
 */
int control_open(sd_event *event, const char *path, gid_t group, control_handler *handler,
                 void *data, struct control **ret_control, struct err *err);
/* Closes all clients and removes the socket. Requests must have been replied to. */
void control_close(struct control **control);

/* Sends the reply, as far as the client is still there, and frees the request. */
void control_reply(struct control_request *request, char kind, const char *text);

/* Splits a packet into words. Returns their number, or -EINVAL for anything malformed. Pure. */
int control_parse(char *packet, size_t n, const char *words[CONTROL_WORDS]);

#endif
