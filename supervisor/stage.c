#include "supervisor/stage.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/num.h"
#include "shared/ipc/status_page.h"

static const struct stage_row rows[STAGE_COUNT] = {
    [STAGE_RECEIVER] = {.name = "receiver",
                        .executable = "sluice-receiver",
                        .metric_letter = 'R',
                        .option_role = OPTION_RECEIVER,
                        .count_option = OPT_RECEIVER_COUNT,
                        .first_slot = 0,
                        .start_step = 2,
                        .stop_step = 0},
    [STAGE_PROCESSOR] = {.name = "processor",
                         .executable = "sluice-processor",
                         .metric_letter = 'P',
                         .option_role = OPTION_PROCESSOR,
                         .count_option = OPT_PROCESSOR_COUNT,
                         .first_slot = STAGE_INSTANCES_MAX,
                         .start_step = 0,
                         .stop_step = 1},
    [STAGE_SHIPPER] = {.name = "shipper",
                       .executable = "sluice-shipper",
                       .metric_letter = 'S',
                       .option_role = OPTION_SHIPPER,
                       .count_option = OPT_COUNT,
                       .first_slot = 2 * STAGE_INSTANCES_MAX,
                       .start_step = 1,
                       .stop_step = 2},
};

static_assert(2 * STAGE_INSTANCES_MAX < STATUS_SLOTS, "every instance has a slot");

const struct stage_row *stage_row(enum stage_id id)
{
    assert((unsigned)id < STAGE_COUNT);
    return &rows[id];
}

unsigned stage_instances(enum stage_id id, const struct options *options)
{
    const struct stage_row *row = stage_row(id);
    uint64_t count = row->count_option == OPT_COUNT ? 1 : options_int(options, row->count_option);

    assert(count >= 1 && count <= STAGE_INSTANCES_MAX); /* the table's range */
    return (unsigned)count;
}

int stage_parse(const char *word, enum stage_id *ret_id, int *ret_index)
{
    const char *dot = strchr(word, '.');
    size_t n = dot != NULL ? (size_t)(dot - word) : strlen(word);
    uint64_t index = 0;

    if (dot != NULL &&
        (num_parse_u64(slice_string(dot + 1), &index) < 0 || index >= STAGE_INSTANCES_MAX))
        return -EINVAL;
    for (unsigned id = 0; id < STAGE_COUNT; id++) {
        if (strlen(rows[id].name) != n || memcmp(rows[id].name, word, n) != 0)
            continue;
        *ret_id = (enum stage_id)id;
        *ret_index = dot != NULL ? (int)index : -1;
        return 0;
    }
    return -EINVAL;
}

/* In a build tree: the folder above the one that sluiced's executable is in. */
static char *in_build_tree(const struct stage_row *row)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *path = NULL;

    if (n <= 0)
        return NULL;
    self[n] = '\0';
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');

        if (slash == NULL)
            return NULL;
        *slash = '\0';
    }
    if (asprintf(&path, "%s/%s/%s", self, row->name, row->executable) < 0)
        return NULL;
    if (access(path, X_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *stage_executable(enum stage_id id, const struct options *options)
{
    const struct stage_row *row = stage_row(id);
    const char *folder = options_string(options, OPT_LIBEXEC_DIR);
    char *path = NULL;

    if (folder[0] == '\0') {
        path = in_build_tree(row);
        if (path != NULL)
            return path;
        folder = SLUICE_LIBEXECDIR;
    }
    return asprintf(&path, "%s/%s", folder, row->executable) < 0 ? NULL : path;
}
