#include "shipper/shipper.h"

static const struct role shipper = {
    .name = "shipper",
    .prepare = shipper_prepare,
    .start = shipper_start,
    .drain = shipper_drain,
    .reload = shipper_reload,
    .fini = shipper_fini,
};

int main(int argc, char **argv)
{
    return role_main(&shipper, argc, argv);
}
