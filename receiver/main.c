#include "receiver/receiver.h"

static const struct role receiver = {
    .name = "receiver",
    .prepare = receiver_prepare,
    .start = receiver_start,
    .drain = receiver_drain,
    .reload = receiver_reload,
    .fini = receiver_fini,
};

int main(int argc, char **argv)
{
    return role_main(&receiver, argc, argv);
}
