#include "shipper/resolver.h"

#include "shared/base/fd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define ADDRESSES_BYTES (RESOLVER_ADDRESSES * (INET6_ADDRSTRLEN + 3))

/* What both threads see. Freed by the last of them. */
struct shared {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned users;
    bool asked, quit, working;
    char host[256];
    int bell; /* rung with each answer; closed with the struct */
    char addresses[ADDRESSES_BYTES];
    char failure[160];
};

struct resolver {
    struct shared *shared;
    pthread_t thread;
    bool asking; /* the loop's own view */
    sd_event_source *source;
    resolver_answer answer;
    void *context;
};

static void release(struct shared *shared)
{
    unsigned users;

    pthread_mutex_lock(&shared->lock);
    users = --shared->users;
    pthread_mutex_unlock(&shared->lock);
    if (users > 0)
        return;
    fd_close(&shared->bell);
    pthread_cond_destroy(&shared->changed);
    pthread_mutex_destroy(&shared->lock);
    free(shared);
}

/* Appends one address. True where there is room for another. */
static bool append_address(char *list, const struct sockaddr *address, unsigned *count)
{
    char text[INET6_ADDRSTRLEN];
    size_t n = strlen(list);
    const void *bytes;

    if (address->sa_family == AF_INET)
        bytes = &((const struct sockaddr_in *)(const void *)address)->sin_addr;
    else if (address->sa_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    else
        return true;
    if (inet_ntop(address->sa_family, bytes, text, sizeof(text)) == NULL)
        return true;
    snprintf(list + n, ADDRESSES_BYTES - n, address->sa_family == AF_INET ? "%s%s" : "%s[%s]",
             n > 0 ? "," : "", text);
    return ++*count < RESOLVER_ADDRESSES;
}

/* In the thread, without the lock: `host` does not change. */
static void resolve(const char *host, char *ret_addresses, char *ret_failure, size_t failure_size)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;
    unsigned count = 0;
    int r = getaddrinfo(host, NULL, &hints, &list);

    ret_addresses[0] = '\0';
    if (r != 0) {
        snprintf(ret_failure, failure_size, "cannot resolve %.80s: %s", host,
                 r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
        return;
    }
    for (struct addrinfo *one = list; one != NULL; one = one->ai_next)
        if (!append_address(ret_addresses, one->ai_addr, &count))
            break;
    freeaddrinfo(list);
    if (count == 0)
        snprintf(ret_failure, failure_size, "%.80s has no address", host);
}

static void *resolver_thread(void *argument)
{
    struct shared *shared = argument;
    char addresses[ADDRESSES_BYTES], failure[sizeof(shared->failure)];

    pthread_mutex_lock(&shared->lock);
    for (;;) {
        while (!shared->asked && !shared->quit)
            pthread_cond_wait(&shared->changed, &shared->lock);
        if (shared->quit)
            break;
        shared->asked = false;
        shared->working = true;
        pthread_mutex_unlock(&shared->lock);
        resolve(shared->host, addresses, failure, sizeof(failure));
        pthread_mutex_lock(&shared->lock);
        shared->working = false;
        memcpy(shared->addresses, addresses, sizeof(addresses));
        memcpy(shared->failure, failure, sizeof(failure));
        fd_bell_ring(shared->bell);
    }
    pthread_mutex_unlock(&shared->lock);
    release(shared);
    return NULL;
}

static int on_bell(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    struct resolver *resolver = userdata;
    struct shared *shared = resolver->shared;
    char addresses[ADDRESSES_BYTES], failure[sizeof(shared->failure)];

    (void)source;
    (void)events;
    fd_bell_clear(fd);
    pthread_mutex_lock(&shared->lock);
    memcpy(addresses, shared->addresses, sizeof(addresses));
    memcpy(failure, shared->failure, sizeof(failure));
    pthread_mutex_unlock(&shared->lock);
    resolver->asking = false;
    resolver->answer(resolver->context, addresses[0] != '\0' ? addresses : NULL, failure);
    return 0;
}

/* The thread takes no signals: they are the loop's. */
static int start_thread(struct resolver *resolver)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&resolver->thread, NULL, resolver_thread, resolver->shared);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

int resolver_start(sd_event *event, const char *host, resolver_answer answer, void *context,
                   struct resolver **ret_resolver, struct err *err)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));
    struct shared *shared = calloc(1, sizeof(*shared));
    int r = -ENOMEM;

    if (resolver == NULL || shared == NULL || strlen(host) >= sizeof(shared->host))
        goto out;
    snprintf(shared->host, sizeof(shared->host), "%s", host);
    shared->bell = r = fd_bell_new();
    if (r < 0)
        goto out;
    pthread_mutex_init(&shared->lock, NULL);
    pthread_cond_init(&shared->changed, NULL);
    *resolver = (struct resolver){.shared = shared, .answer = answer, .context = context};
    shared->users = 2;
    r = start_thread(resolver);
    if (r < 0) {
        fd_close(&shared->bell);
        goto out;
    }
    r = sd_event_add_io(event, &resolver->source, shared->bell, EPOLLIN, on_bell, resolver);
    if (r < 0) {
        resolver_stop(&resolver);
        return err_errno(err, -r, "cannot watch the resolver");
    }
    *ret_resolver = resolver;
    return 0;
out:
    free(resolver);
    free(shared);
    return err_errno(err, -r, "cannot start the resolver of %.80s", host);
}

void resolver_stop(struct resolver **resolver)
{
    struct resolver *r = *resolver;
    bool working;

    *resolver = NULL;
    if (r == NULL)
        return;
    sd_event_source_disable_unref(r->source);
    pthread_mutex_lock(&r->shared->lock);
    r->shared->quit = true;
    working = r->shared->working;
    pthread_cond_signal(&r->shared->changed);
    pthread_mutex_unlock(&r->shared->lock);
    if (working)
        pthread_detach(r->thread); /* a dead DNS must not hold up the end */
    else
        pthread_join(r->thread, NULL);
    release(r->shared);
    free(r);
}

void resolver_ask(struct resolver *resolver)
{
    if (resolver->asking)
        return;
    resolver->asking = true;
    pthread_mutex_lock(&resolver->shared->lock);
    resolver->shared->asked = true;
    pthread_cond_signal(&resolver->shared->changed);
    pthread_mutex_unlock(&resolver->shared->lock);
}

bool resolver_is_asking(const struct resolver *resolver)
{
    return resolver->asking;
}

bool resolver_is_address(const char *host)
{
    struct in6_addr bytes;
    char text[64];
    size_t n = strlen(host);

    if (inet_pton(AF_INET, host, &bytes) == 1)
        return true;
    if (n >= 2 && n - 2 < sizeof(text) && host[0] == '[' && host[n - 1] == ']') {
        memcpy(text, host + 1, n - 2);
        text[n - 2] = '\0';
        return inet_pton(AF_INET6, text, &bytes) == 1;
    }
    return inet_pton(AF_INET6, host, &bytes) == 1;
}
