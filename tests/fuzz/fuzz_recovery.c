/*
 * recovery and reader: any bytes as a lane's segment files. A cold recovery ends, with the lane
 * usable or an error; a reader then comes to the end and gives no more than is there.
 *
 * The input: a byte of flags, two bytes (where the second file begins), the files' bytes. With
 * FLAG_REPAIR checksums are made right wherever a header seems to stand: else nothing behind them
 * would ever be reached.
 */
#include "shared/base/bytes.h"
#include "shared/base/fd.h"
#include "shared/journal/crc32c.h"
#include "shared/journal/reader.h"
#include "shared/journal/recovery.h"
#include "shared/journal/segment.h"
#include "tests/fuzz/fuzz.h"
#include "tests/sim/sim_disk.h"

#include <string.h>

#define LANE 3u
#define SEGMENT_BYTES 16384u
#define NOW_NS 1700000000000000000ull
#define MAX_INPUT 65536u
#define FLAG_REPAIR 1
#define FLAG_TWO_FILES 2

static void put_crc(uint8_t *p, size_t covered)
{
    uint32_t crc = crc32c(0, p, covered);

    memcpy(p + covered, &crc, sizeof(crc));
}

static void repair_frame(uint8_t *p, size_t n)
{
    struct frame_header header;

    memcpy(&header, p, sizeof(header));
    if (header.payload_bytes <= n - sizeof(header))
        header.payload_crc = crc32c(0, p + sizeof(header), header.payload_bytes);
    memcpy(p, &header, sizeof(header));
    put_crc(p, offsetof(struct frame_header, crc));
}

static void repair_commit(uint8_t *p, size_t n, uint32_t batch_crc)
{
    struct commit_record record;

    memcpy(&record, p, sizeof(record));
    record.batch_crc = batch_crc;
    record.crc = 0;
    memcpy(p, &record, sizeof(record));
    if (record.commit_bytes < sizeof(record) || record.commit_bytes > n)
        return;
    record.crc = crc32c(0, p, record.commit_bytes);
    memcpy(p, &record, sizeof(record));
}

static void repair(uint8_t *p, size_t n)
{
    uint32_t batch_crc = 0;

    if (n < SEGMENT_HEADER_BYTES)
        return;
    put_crc(p, offsetof(struct segment_header, crc));
    for (size_t at = SEGMENT_HEADER_BYTES; at + sizeof(struct batch_header) <= n; at += 8) {
        uint32_t magic;

        memcpy(&magic, p + at, sizeof(magic));
        if (magic == BATCH_MAGIC) {
            put_crc(p + at, offsetof(struct batch_header, crc));
            batch_crc = crc32c(0, p + at, sizeof(struct batch_header));
        } else if (magic == FRAME_MAGIC) {
            repair_frame(p + at, n - at);
            batch_crc = crc32c(batch_crc, p + at, sizeof(struct frame_header));
        } else if (magic == COMMIT_MAGIC && n - at >= sizeof(struct commit_record)) {
            repair_commit(p + at, n - at, batch_crc);
        }
    }
}

static void put_file(struct disk *disk, uint64_t number, const uint8_t *p, size_t n, bool repaired)
{
    uint8_t *copy = malloc(n + 1);
    char name[SEGMENT_NAME_BYTES];
    int file;

    fuzz_check(copy != NULL, "memory");
    memcpy(copy, p, n);
    if (repaired)
        repair(copy, n);
    segment_name(number, name);
    file = disk->ops->open(disk, name, DISK_FRESH);
    fuzz_check(file >= 0 && disk->ops->pwrite(disk, file, copy, n, 0) == 0 &&
                   disk->ops->datasync(disk, file) == 0 && disk->ops->sync_folder(disk) == 0,
               "a file on the simulated disk");
    disk->ops->close(disk, file);
    free(copy);
}

static struct lane_page *new_page(void)
{
    struct lane_page *page = NULL;
    int fd, readonly;

    fuzz_check(lane_page_create(LANE, &fd, &readonly, NULL) == 0 &&
                   lane_page_open(fd, true, &page, NULL) == 0,
               "a lane page");
    fd_close(&fd);
    fd_close(&readonly);
    return page;
}

static void read_all(struct disk *disk, const struct recovery_result *recovered)
{
    struct lane_page *page = new_page();
    struct lane_state state = {
        .segment = recovered->position.segment,
        .end = recovered->position.end,
        .next_sequence = recovered->next_sequence,
        .records = recovered->position.records,
    };
    struct journal_reader *reader = NULL;
    struct journal_frame frame;
    uint64_t frames = 0, most = (uint64_t)disk->ops->usage(disk) / sizeof(struct frame_header);
    struct err err = {0};
    int r;

    lane_page_publish(page, &state);
    fuzz_check(reader_open(disk, page, &reader, &err) == 0, "a reader opens what was recovered");
    while ((r = reader_next(reader, &frame, &err)) > 0)
        fuzz_check(++frames <= most, "a reader comes to an end");
    fuzz_check(r == 0, "a healthy disk gives a reader no error");
    reader_close(&reader);
    lane_page_close(&page);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct sim_random random;
    struct sim_machine machine = {.random = &random};
    struct recovery recovery = {.lane = LANE, .segment_bytes = SEGMENT_BYTES, .now_ns = NOW_NS};
    struct recovery_result result;
    struct err err = {0};
    size_t first;

    if (n < 3 || n > MAX_INPUT)
        return 0;
    first = n - 3;
    if ((p[0] & FLAG_TWO_FILES) != 0 && (size_t)p[1] + p[2] * 256u < first)
        first = (size_t)p[1] + p[2] * 256u;
    sim_random_seed(&random, 1);
    recovery.disk = sim_disk_new(&machine);
    recovery.quarantine = sim_disk_new(&machine);
    fuzz_check(resend_window_new(64, NOW_NS, &recovery.window, NULL) == 0, "a resend window");
    put_file(recovery.disk, 1, p + 3, first, (p[0] & FLAG_REPAIR) != 0);
    if (first < n - 3)
        put_file(recovery.disk, 2, p + 3 + first, n - 3 - first, (p[0] & FLAG_REPAIR) != 0);
    if (recovery_cold(&recovery, &result, &err) == 0)
        read_all(recovery.disk, &result);
    else
        fuzz_check(err.text[0] != '\0', "an error has a reason");
    resend_window_free(&recovery.window);
    disk_free(&recovery.disk);
    disk_free(&recovery.quarantine);
    return 0;
}
