/*
 * client: one request to sluiced over its control socket, and its reply.
 */
#ifndef SUPERVISOR_CTL_CLIENT_H
#define SUPERVISOR_CTL_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/err.h"

/*
 * Sends the words and waits for the reply. Returns 0 and the text (the caller frees), *ret_done
 * false where sluiced refused; -ECONNREFUSED where no sluiced runs there, -EACCES where this user
 * may not, -EINVAL for words that no request may hold, or -errno.
 */
int client_ask(const char *path, const char *const *words, size_t count, bool *ret_done,
               char **ret_text, struct err *err);

#endif
