/*
 * access: who may send over the forward port: the options forward.shared_key, forward.clients,
 * forward.users and forward.allow_unknown_clients as tables. The supervisor makes one to check what
 * they mean together, the receiver to use it, so that both read them alike.
 *
 *     access_load(options, &report, &access)
 *     access_admit(access, &address, &grant)                 may it come from there, with which key?
 *     access_password(access, &grant, name, &password)       a user's password, for the digest
 *
 * Invariant: where a handshake is asked for, every admitted address has a key.
 *
 * Owns copies of the secrets; access_free overwrites them. What it hands out is borrowed until then.
 */
#ifndef SHARED_OPTIONS_ACCESS_H
#define SHARED_OPTIONS_ACCESS_H

#include "shared/base/network.h"
#include "shared/options/options.h"

#define ACCESS_NAME_BYTES 256u /* a user's name is shorter */

struct access;
struct access_client;

/* What an admitted client needs. */
struct access_grant {
    struct slice shared_key;
    const struct access_client *client; /* its element of forward.clients, or NULL */
};

/*
 * 0; -EINVAL with every mistake in the report, at the place of its option and naming the element,
 * never a value; -ENOMEM. Warnings go there too. Options that are broken are not looked at.
 */
int access_load(const struct options *options, struct option_report *report,
                struct access **ret_access);
void access_free(struct access **access);

/* Everybody may send, without a handshake. */
bool access_is_open(const struct access *access);
bool access_asks_user(const struct access *access);
/* For a log line: how many there are of what, no names. Cut to size; returns `text`. */
const char *access_describe(const struct access *access, char *text, size_t size);

/* False: from this address nobody may send. Linear in the clients. */
bool access_admit(const struct access *access, const struct network *address,
                  struct access_grant *ret_grant);

/*
 * The password of this user, who may come as that client. False where there is no such user, or not
 * from there; the password is some other text then, so that what follows costs the same. The time
 * that it takes depends on the tables alone, not on the name.
 */
bool access_password(const struct access *access, const struct access_grant *grant,
                     struct slice name, struct slice *ret_password);

#endif
