#include "shared/role/confine_table.h"

#include <string.h>

static const struct confine_row rows[] = {
    {
        .role = "receiver",
        .option_role = OPTION_RECEIVER,
        .accepts = true,
        .nofile = 256,
        .nofile_option = OPT_FORWARD_MAX_CONNECTIONS,
    },
    {
        .role = "processor",
        .option_role = OPTION_PROCESSOR,
        .files = true,
        .threads = true, /* the sync thread of its lane */
        .nofile = 1024,
        .nofile_option = OPT_COUNT,
        .rules =
            {
                {.base = CONFINE_OWN_LANE, .writable = true},
                {.base = CONFINE_DATA, .writable = true, .path = "quarantine"},
                {.base = CONFINE_DATA, .path = "lanes"},
                {.base = CONFINE_DATA, .path = "cursors"},
                {.base = CONFINE_DATA, .path = "backup"}, /* its size, for journal.total_limit */
            },
    },
    {
        .role = "shipper",
        .option_role = OPTION_SHIPPER,
        .files = true,
        .connects = true,
        .threads = true, /* name resolution */
        .nofile = 1024,
        .nofile_option = OPT_COUNT,
        .rules =
            {
                {.base = CONFINE_DATA, .writable = true, .path = "lanes"},
                {.base = CONFINE_DATA, .writable = true, .path = "cursors"},
                {.base = CONFINE_DATA, .writable = true, .path = "quarantine"},
                {.base = CONFINE_DATA, .writable = true, .path = "backup"},
                {.base = CONFINE_FOLDER_OF, .writable = true, .option = OPT_FILE_PATH},
                {.base = CONFINE_FOLDER_OF, .option = OPT_OTLP_CA_FILE},
                /*
                 * The folder and not its files: resolv.conf is replaced by renaming, and a rule on
                 * the old file would not hold for the new one. With user id 0 that would open
                 * /etc/shadow, so there it is the files, and a replaced one needs a restart.
                 */
                {.base = CONFINE_SYSTEM_USER, .path = "/etc"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/resolv.conf"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/hosts"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/host.conf"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/nsswitch.conf"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/gai.conf"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/services"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/protocols"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/ld.so.cache"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/ssl/certs"},
                {.base = CONFINE_SYSTEM_ROOT, .path = "/etc/ssl/openssl.cnf"},
                /* What /etc/resolv.conf and the certificates of /etc/ssl/certs link to. */
                {.base = CONFINE_SYSTEM, .path = "/run/systemd/resolve"},
                {.base = CONFINE_SYSTEM, .path = "/run/resolvconf"},
                {.base = CONFINE_SYSTEM, .path = "/usr/share/ca-certificates"},
                {.base = CONFINE_SYSTEM, .path = "/usr/local/share/ca-certificates"},
                {.base = CONFINE_SYSTEM, .path = "/usr/lib/ssl"},
            },
    },
};

const struct confine_row *confine_row(const char *role)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].role, role) == 0)
            return &rows[i];
    return NULL;
}
