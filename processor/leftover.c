#include "processor/leftover.h"

#include "shared/base/clock.h"
#include "shared/journal/recovery.h"

int leftover_recover(struct disk *disk, struct disk *quarantine, struct lane_page *page,
                     uint64_t segment_bytes, struct err *err)
{
    const struct recovery recovery = {
        .disk = disk,
        .quarantine = quarantine,
        .lane = lane_page_lane(page),
        .segment_bytes = segment_bytes,
        .now_ns = clock_realtime_ns(),
    };
    struct recovery_result result;
    struct lane_state state;
    int r;

    if (lane_page_read(page, &state))
        return 0;
    r = recovery_cold(&recovery, &result, err);
    if (r < 0)
        return r;
    state = (struct lane_state){
        .segment = result.position.segment,
        .end = result.position.end,
        .records = result.position.records,
        .next_sequence = result.next_sequence,
    };
    lane_page_publish(page, &state);
    return 0;
}
