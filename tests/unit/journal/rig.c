#include "tests/unit/journal/rig.h"

#include "shared/base/clock.h"
#include "shared/base/fd.h"
#include "shared/journal/crc32c.h"
#include "shared/journal/segment.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RIG_LANE 3u

void rig_init(struct rig *rig, uint64_t seed)
{
    memset(rig, 0, sizeof(*rig));
    sim_random_seed(&rig->random, seed);
    rig->machine.random = &rig->random;
    rig->machine.fail_with = EIO;
    rig->disk = sim_disk_new(&rig->machine);
    rig->quarantine = sim_disk_new(&rig->machine);
    batch_init(&rig->batch, 64u << 20);
    rig_new_page(rig);
    assert_int_equal(rig_recover(rig), 0);
    assert_int_equal(rig->state.next_sequence, 1);
}

void rig_fini(struct rig *rig)
{
    writer_free(&rig->writer);
    resend_window_free(&rig->window);
    lane_page_close(&rig->page);
    disk_free(&rig->disk);
    disk_free(&rig->quarantine);
    batch_fini(&rig->batch);
}

void rig_new_page(struct rig *rig)
{
    int fd, readonly;

    lane_page_close(&rig->page);
    assert_int_equal(lane_page_create(RIG_LANE, &fd, &readonly, NULL), 0);
    assert_int_equal(lane_page_open(fd, true, &rig->page, NULL), 0);
    fd_close(&fd);
    fd_close(&readonly);
}

static uint8_t content_byte(uint64_t tag, uint32_t frame, size_t i)
{
    return (uint8_t)(tag * 31 + frame * 7 + i);
}

static void fill_frame(uint8_t *p, size_t n, uint64_t tag, uint32_t frame)
{
    memcpy(p, &tag, sizeof(tag));
    for (size_t i = sizeof(tag); i < n; i++)
        p[i] = content_byte(tag, frame, i);
}

static int add_key(void *context, const struct segment_key *key)
{
    return batch_key(context, key);
}

static int add_confirmation(void *context, const struct segment_confirmation *confirmation)
{
    return batch_confirmation(context, confirmation);
}

void rig_build(struct rig *rig, uint32_t frames, size_t frame_bytes, struct rig_batch *ret_batch)
{
    struct rig_batch made = {rig->state.next_sequence, ++rig->next_tag, frames};
    struct resend_origin origin = {0, 1, made.tag, 1, 0};
    struct commit_record commit;
    uint8_t key[16] = {0};

    assert_true(frame_bytes >= sizeof(made.tag));
    batch_clear(&rig->batch, SIZE_MAX);
    for (uint32_t i = 0; i < frames; i++) {
        struct frame_info info = {.codec = FRAME_NONE, .records = 1};
        uint8_t *p = batch_frame_reserve(&rig->batch, frame_bytes);

        assert_non_null(p);
        fill_frame(p, frame_bytes, made.tag, i);
        assert_int_equal(batch_frame_commit(&rig->batch, &info, frame_bytes), 0);
    }
    memcpy(key, &made.tag, sizeof(made.tag));
    assert_int_equal(resend_window_check(rig->window, key, &origin, RIG_NOW_NS), RESEND_NEW);
    assert_int_equal(resend_window_seal(rig->window, add_key, add_confirmation, &rig->batch), 0);
    commit = rig->totals;
    commit.records_committed = rig->state.records + frames;
    commit.chunks_taken++;
    commit.durable_segment = rig->state.segment;
    commit.durable_end = rig->state.end;
    assert_int_equal(batch_seal(&rig->batch, made.sequence, &commit), 0);
    rig->totals = commit;
    *ret_batch = made;
}

static int commit_pending(struct rig *rig)
{
    struct buf window;
    struct writer_batch batch = {
        .bytes = buf_slice(&rig->batch.bytes),
        .sequence = rig->pending.sequence,
        .records = rig->pending.frames,
        .now_ns = RIG_NOW_NS,
    };
    struct err err = {0};
    int r;

    buf_init(&window, 64u << 20);
    if (writer_would_roll(rig->writer, batch.bytes.n)) {
        assert_int_equal(resend_window_save(rig->window, &window), 0);
        batch.window = buf_slice(&window);
    }
    r = writer_commit(rig->writer, &batch, &err);
    buf_fini(&window);
    if (r < 0) {
        assert_string_not_equal(err.text, "");
        return r;
    }
    rig->committed[rig->count++] = rig->pending;
    assert_true(rig->count < RIG_BATCHES);
    rig->state.segment = writer_position(rig->writer).segment;
    rig->state.end = writer_position(rig->writer).end;
    rig->state.records = writer_position(rig->writer).records;
    rig->state.next_sequence = rig->pending.sequence + 1;
    rig->pending = (struct rig_batch){0};
    resend_window_durable(rig->window);
    lane_page_publish(rig->page, &rig->state);
    writer_prepare(rig->writer);
    return 0;
}

int rig_commit(struct rig *rig, uint32_t frames, size_t frame_bytes)
{
    rig_build(rig, frames, frame_bytes, &rig->pending);
    return commit_pending(rig);
}

int rig_again(struct rig *rig)
{
    assert_true(rig->pending.frames > 0);
    return commit_pending(rig);
}

void rig_die(struct rig *rig)
{
    writer_free(&rig->writer);
    sim_disk_reboot(rig->disk);
    sim_disk_reboot(rig->quarantine);
    rig->machine.process.crash_at = 0;
}

void rig_power_cut(struct rig *rig)
{
    writer_free(&rig->writer);
    sim_disk_power_cut(rig->disk);
    sim_disk_power_cut(rig->quarantine);
    rig->machine.process.crash_at = 0;
    rig_new_page(rig);
}

static void check_totals(const struct rig *rig, bool warm)
{
    uint64_t records = 0;

    assert_int_equal(rig->recovered.totals.records_committed, rig->recovered.position.records);

    for (unsigned i = 0; i < rig->count; i++)
        records += rig->committed[i].frames;
    if (warm || rig->pending.frames == 0)
        assert_int_equal(rig->recovered.position.records, records);
    else
        assert_true(rig->recovered.position.records == records ||
                    rig->recovered.position.records == records + rig->pending.frames);
}

int rig_recover(struct rig *rig)
{
    struct writer_config config = {.lane = RIG_LANE, .segment_bytes = RIG_SEGMENT_BYTES};
    bool warm = lane_page_read(rig->page, &rig->state);
    struct recovery recovery = {
        .disk = rig->disk,
        .quarantine = rig->quarantine,
        .lane = RIG_LANE,
        .segment_bytes = RIG_SEGMENT_BYTES,
        .now_ns = RIG_NOW_NS,
    };
    struct err err = {0};
    int r;

    resend_window_free(&rig->window);
    assert_int_equal(resend_window_new(1024, 600 * NS_PER_S, &rig->window, NULL), 0);
    recovery.window = rig->window;
    if (warm) {
        struct writer_position position = {rig->state.segment, rig->state.end, rig->state.records};

        r = recovery_warm(&recovery, &position, &rig->recovered, &err);
        rig->recovered.next_sequence = rig->state.next_sequence;
    } else {
        memset(&rig->state, 0, sizeof(rig->state));
        r = recovery_cold(&recovery, &rig->recovered, &err);
    }
    if (r < 0)
        return r;
    check_totals(rig, warm);
    rig->totals = rig->recovered.totals;
    assert_int_equal(writer_new(rig->disk, &config, &rig->writer, NULL), 0);
    writer_resume(rig->writer, &rig->recovered.position);
    if (rig->machine.process.crashed)
        return -EIO;
    rig->state.segment = rig->recovered.position.segment;
    rig->state.end = rig->recovered.position.end;
    rig->state.records = rig->recovered.position.records;
    rig->state.next_sequence = rig->recovered.next_sequence;
    if (warm)
        rig->pending.frames = 0; /* cut; it would come from the ring again */
    lane_page_publish(rig->page, &rig->state);
    return 0;
}

static void check_frame(const struct rig_batch *batch, const struct journal_frame *frame)
{
    uint64_t tag;

    assert_true(frame->payload.n >= sizeof(tag));
    memcpy(&tag, frame->payload.p, sizeof(tag));
    assert_int_equal(tag, batch->tag);
    assert_int_equal(frame->frames, batch->frames);
    for (size_t i = sizeof(tag); i < frame->payload.n; i++)
        assert_int_equal(frame->payload.p[i], content_byte(tag, frame->index, i));
}

unsigned rig_check(struct rig *rig, uint64_t sequence)
{
    struct journal_reader *reader;
    struct journal_frame frame;
    unsigned at = 0, batches = 0;

    assert_int_equal(reader_open(rig->disk, rig->page, &reader, NULL), 0);
    if (sequence > 0)
        assert_int_equal(reader_seek(reader, sequence, 0, NULL), 0);
    while (at < rig->count && rig->committed[at].sequence < sequence)
        at++;
    for (;;) {
        const struct rig_batch *expected = at < rig->count ? &rig->committed[at] : &rig->pending;
        struct err err = {0};
        int r = 0;

        for (uint32_t i = 0; i < expected->frames; i++) {
            r = reader_next(reader, &frame, &err);
            if (r == 0 && at == rig->count && i == 0)
                break;
            if (r != 1)
                fail_msg("batch %u of %u, frame %u: %d %s", at, rig->count, i, r, err.text);
            assert_int_equal(frame.sequence, expected->sequence);
            assert_int_equal(frame.index, i);
            check_frame(expected, &frame);
        }
        batches += r == 1;
        if (at >= rig->count)
            break;
        at++;
    }
    assert_int_equal(reader_next(reader, &frame, NULL), 0);
    assert_int_equal(reader_counts(reader)->bad_batches, 0);
    assert_int_equal(reader_counts(reader)->bad_frames, 0);
    reader_close(&reader);
    /* Once delivered it is a batch like any other. */
    if (batches > 0 && at == rig->count && rig->pending.frames > 0 &&
        rig->state.next_sequence > rig->pending.sequence) {
        rig->committed[rig->count++] = rig->pending;
        rig->pending = (struct rig_batch){0};
    }
    return batches;
}

void rig_damage(struct rig *rig, uint64_t segment, uint64_t offset)
{
    char name[SEGMENT_NAME_BYTES];

    segment_name(segment, name);
    assert_int_equal(sim_disk_damage(rig->disk, name, offset, 0x10), 0);
}
