#include "shipper/retention.h"

#include "shared/journal/reader.h"

#include <errno.h>
#include <stdlib.h>

struct retention {
    unsigned count;
    struct {
        struct journal_reader *reader;
        uint64_t passed; /* what the last successful pass was asked for */
    } lanes[];
};

int retention_new(const struct source_lane *lanes, unsigned count, struct retention **ret_retention,
                  struct err *err)
{
    struct retention *retention =
        calloc(1, sizeof(*retention) + count * sizeof(retention->lanes[0]));
    int r = 0;

    if (retention == NULL)
        return err_errno(err, ENOMEM, "cannot watch the journal's size");
    for (unsigned i = 0; i < count && r == 0; i++) {
        r = reader_open(lanes[i].disk, lanes[i].page, &retention->lanes[i].reader, err);
        retention->count = i + 1;
    }
    if (r < 0) {
        retention_free(&retention);
        return r;
    }
    *ret_retention = retention;
    return 0;
}

void retention_free(struct retention **retention)
{
    if (*retention == NULL)
        return;
    for (unsigned i = 0; i < (*retention)->count; i++)
        reader_close(&(*retention)->lanes[i].reader);
    free(*retention);
    *retention = NULL;
}

int retention_pass(struct retention *retention, unsigned lane, uint64_t sequence,
                   unsigned *ret_removed, struct err *err)
{
    int r;

    *ret_removed = 0;
    if (sequence == retention->lanes[lane].passed)
        return 0;
    r = reader_remove_passed(retention->lanes[lane].reader, sequence, ret_removed, err);
    if (r == 0)
        retention->lanes[lane].passed = sequence;
    return r;
}

uint64_t retention_bytes(struct retention *retention)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < retention->count; i++) {
        int64_t usage = reader_usage(retention->lanes[i].reader);

        bytes += usage > 0 ? (uint64_t)usage : 0;
    }
    return bytes;
}
