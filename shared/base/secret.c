#include "shared/base/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int secret_set(struct secret *secret, struct slice value)
{
    char *p = NULL;

    if (value.n > 0) {
        if (memchr(value.p, '\0', value.n) != NULL)
            return -EINVAL;
        p = malloc(value.n + 1);
        if (p == NULL)
            return -ENOMEM;
        memcpy(p, value.p, value.n);
        p[value.n] = '\0';
    }
    secret_fini(secret);
    secret->p = p;
    secret->n = value.n;
    return 0;
}

void secret_fini(struct secret *secret)
{
    if (secret->p != NULL)
        explicit_bzero(secret->p, secret->n);
    free(secret->p);
    *secret = (struct secret){0};
}

const char *secret_text(const struct secret *secret)
{
    return secret->p != NULL ? secret->p : "";
}

struct slice secret_slice(const struct secret *secret)
{
    return slice_of(secret->p, secret->n);
}

bool secret_equal(struct slice a, struct slice b)
{
    volatile uint8_t difference = 0;

    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        difference |= a.p[i] ^ b.p[i];
    return difference == 0;
}

void secret_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}
