#include "tests/unit/shipper/fixture.h"

#include "shared/base/clock.h"
#include "shared/journal/batch.h"
#include "shared/journal/writer.h"
#include "shared/otlp/frame_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RECORD_BYTES 18
#define TIMEOUT_NS (20 * NS_PER_S)

struct fixture_lane {
    struct journal_writer *writer;
    struct lane_page *page; /* writable */
    int fd, readonly_fd;
    uint64_t next_sequence;
};

struct fixture {
    char folder[64];
    sd_event *event;
    struct options *options;
    struct status_page *status_page;
    int status_fd;
    struct frame_codec *codec;
    enum frame_codec_id codec_id;
    struct fixture_lane lanes[FIXTURE_LANES];
    struct source_lane shared[FIXTURE_LANES];
    unsigned serial;
};

static void open_lane(struct fixture *f, unsigned index)
{
    struct fixture_lane *lane = &f->lanes[index];
    struct source_lane *shared = &f->shared[index];
    struct writer_config config = {.lane = index, .segment_bytes = 256 << 10};
    struct writer_position start = {0};
    char path[128];

    snprintf(path, sizeof(path), "%s/lanes", f->folder);
    assert_int_equal(disk_posix_open(path, true, &shared->disk, NULL), 0);
    disk_free(&shared->disk);
    snprintf(path, sizeof(path), "%s/lanes/%02u", f->folder, index);
    assert_int_equal(disk_posix_open(path, true, &shared->disk, NULL), 0);
    assert_int_equal(writer_new(shared->disk, &config, &lane->writer, NULL), 0);
    writer_renew(lane->writer, &start);
    assert_int_equal(lane_page_create(index, &lane->fd, &lane->readonly_fd, NULL), 0);
    assert_int_equal(lane_page_open(lane->fd, true, &lane->page, NULL), 0);
    assert_int_equal(lane_page_open(lane->readonly_fd, false, &shared->page, NULL), 0);
    shared->number = index;
    lane->next_sequence = 1;
}

struct fixture *fixture_new(void)
{
    struct fixture *f = calloc(1, sizeof(*f));

    snprintf(f->folder, sizeof(f->folder), "/tmp/test_shipper.XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    assert_true(sd_event_new(&f->event) >= 0);
    f->options = options_new();
    fixture_set(f, OPT_DATA_DIR, f->folder);
    fixture_set(f, OPT_RETRY_MIN, "10ms");
    fixture_set(f, OPT_RETRY_MAX, "40ms");
    assert_int_equal(status_page_create(&f->status_fd, NULL), 0);
    assert_int_equal(status_page_open(f->status_fd, &f->status_page, NULL), 0);
    assert_int_equal(frame_codec_new(&f->codec, NULL), 0);
    f->codec_id = FRAME_GZIP;
    for (unsigned i = 0; i < FIXTURE_LANES; i++)
        open_lane(f, i);
    return f;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_free(struct fixture *f)
{
    for (unsigned i = 0; i < FIXTURE_LANES; i++) {
        writer_free(&f->lanes[i].writer);
        lane_page_close(&f->lanes[i].page);
        lane_page_close(&f->shared[i].page);
        close(f->lanes[i].fd);
        close(f->lanes[i].readonly_fd);
        disk_free(&f->shared[i].disk);
    }
    frame_codec_free(&f->codec);
    status_page_close(&f->status_page);
    close(f->status_fd);
    options_free(&f->options);
    sd_event_unref(f->event);
    assert_int_equal(nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
}

const char *fixture_folder(const struct fixture *f)
{
    return f->folder;
}

struct options *fixture_options(struct fixture *f)
{
    return f->options;
}

void fixture_set(struct fixture *f, enum option_id id, const char *value)
{
    assert_int_equal(options_set(f->options, id, slice_string(value), NULL), 0);
}

sd_event *fixture_event(struct fixture *f)
{
    return f->event;
}

struct status_slot *fixture_status(struct fixture *f)
{
    return status_page_slot(f->status_page, 3);
}

const struct source_lane *fixture_lanes(struct fixture *f)
{
    return f->shared;
}

unsigned fixture_committed(const struct fixture *f)
{
    return f->serial;
}

uint64_t fixture_next_sequence(const struct fixture *f, unsigned lane)
{
    return f->lanes[lane].next_sequence;
}

void fixture_set_codec(struct fixture *f, unsigned codec)
{
    f->codec_id = (enum frame_codec_id)codec;
}

/* resource_logs { scope_logs { log_records { body { string_value "r-000042" } } } } */
static void put_record(uint8_t *p, unsigned serial)
{
    static const uint8_t head[] = {0x0a, 0x10, 0x12, 0x0e, 0x12, 0x0c, 0x2a, 0x0a, 0x0a, 0x08};
    char text[16];

    memcpy(p, head, sizeof(head));
    snprintf(text, sizeof(text), "r-%06u", serial);
    memcpy(p + sizeof(head), text, 8);
}

static void put_frame(struct fixture *f, struct batch *batch, struct slice plain, unsigned records)
{
    struct frame_info info = {.records = records};
    size_t bound = frame_codec_bound(f->codec_id, plain.n), bytes;
    uint8_t *to = batch_frame_reserve(batch, bound);

    assert_non_null(to);
    assert_int_equal(frame_codec_compress(f->codec, f->codec_id, &plain, 1,
                                          (struct frame_codec_out){to, bound}, &bytes, &info),
                     0);
    assert_int_equal(batch_frame_commit(batch, &info, bytes), 0);
}

static void put_records(struct fixture *f, struct batch *batch, unsigned records)
{
    uint8_t *plain = calloc(records, RECORD_BYTES);

    for (unsigned i = 0; i < records; i++)
        put_record(plain + (size_t)i * RECORD_BYTES, f->serial++);
    assert_true(f->serial <= FIXTURE_RECORDS);
    put_frame(f, batch, slice_of(plain, (size_t)records * RECORD_BYTES), records);
    free(plain);
}

/* Seals the batch, makes it durable, publishes that. */
static void commit(struct fixture *f, unsigned index, struct batch *batch)
{
    struct fixture_lane *lane = &f->lanes[index];
    struct commit_record record = {0};
    struct writer_batch sealed = {.sequence = lane->next_sequence, .records = batch->records};
    struct lane_state state = {0};
    struct writer_position position;
    struct err err = {0};

    assert_int_equal(batch_seal(batch, lane->next_sequence, &record), 0);
    sealed.bytes = buf_slice(&batch->bytes);
    if (writer_commit(lane->writer, &sealed, &err) < 0)
        fail_msg("%s", err.text);
    lane->next_sequence++;
    position = writer_position(lane->writer);
    state.segment = position.segment;
    state.end = position.end;
    state.records = position.records;
    state.next_sequence = lane->next_sequence;
    lane_page_publish(lane->page, &state);
}

void fixture_commit(struct fixture *f, unsigned index, unsigned frames, unsigned records)
{
    struct batch batch;

    batch_init(&batch, 64 << 20);
    for (unsigned i = 0; i < frames; i++)
        put_records(f, &batch, records);
    commit(f, index, &batch);
    batch_fini(&batch);
}

void fixture_commit_plain(struct fixture *f, unsigned index, struct slice plain)
{
    struct batch batch;

    batch_init(&batch, 64 << 20);
    put_frame(f, &batch, plain, 1);
    commit(f, index, &batch);
    batch_fini(&batch);
}

static void on_changed(void *context)
{
    (void)context;
}

struct output *fixture_open(struct fixture *f, const struct output_ops *ops)
{
    struct output_env env = {
        .event = f->event,
        .status = fixture_status(f),
        .options = f->options,
        .api_key = SLICE_LITERAL(FIXTURE_KEY),
        .lanes = f->shared,
        .lane_count = FIXTURE_LANES,
        .changed = on_changed,
    };
    struct output *output = NULL;
    struct err err = {0};

    if (output_open(ops, &env, &output, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(output_start(output, &err), 0);
    return output;
}

void fixture_run(struct fixture *f, struct output *output, bool (*is_so)(void *context),
                 void *context)
{
    uint64_t end = clock_monotonic_ns() + TIMEOUT_NS;

    output_pump(output);
    while (!is_so(context)) {
        assert_true(sd_event_run(f->event, 20000) >= 0);
        if (clock_monotonic_ns() > end) {
            char note[160];

            output_note(output, note, sizeof(note));
            fail_msg("it did not become so in time; the output says: %s", note);
        }
    }
}

static bool is_idle(void *context)
{
    struct output *output = context;

    return output_is_idle(output);
}

void fixture_run_idle(struct fixture *f, struct output *output)
{
    output->exhausted = false;
    fixture_run(f, output, is_idle, output);
}

void fixture_count(struct slice bytes, unsigned *counts)
{
    for (size_t i = 0; i + 8 <= bytes.n; i++) {
        unsigned serial = 0;

        if (bytes.p[i] != 'r' || bytes.p[i + 1] != '-')
            continue;
        for (size_t k = 2; k < 8; k++)
            serial = serial * 10 + (unsigned)(bytes.p[i + k] - '0');
        assert_true(serial < FIXTURE_RECORDS);
        counts[serial]++;
    }
}
