#include "shared/journal/reader.h"

#include "shared/base/buf.h"
#include "shared/journal/crc32c.h"
#include "shared/journal/segment.h"

#include <errno.h>
#include <stdlib.h>

#define READER_WINDOW_BYTES (1u << 20)
#define READER_MAX_FRAME_BYTES (1ull << 32)

struct journal_reader {
    struct disk *disk;
    const struct lane_page *page;
    struct reader_counts counts;

    /* the segment under the reader; file < 0: none is open */
    uint64_t number;
    int file;
    uint64_t offset;     /* of the next header */
    uint64_t closed_end; /* where a segment that takes no more batches ends; 0: not known */

    /* the batch under the reader */
    struct batch_header batch;
    uint32_t next_frame;
    uint64_t batch_end; /* offset behind it; 0: between batches */

    /* frames before this are passed over (reader_seek) */
    uint64_t seek_sequence;
    uint32_t seek_index;

    struct buf window;
    uint64_t window_offset;

    uint64_t removable_at; /* the oldest segment goes when cursors reach this; 0: not known */
};

int reader_open(struct disk *disk, const struct lane_page *page, struct journal_reader **ret_reader,
                struct err *err)
{
    struct journal_reader *reader = calloc(1, sizeof(*reader));

    if (reader == NULL)
        return err_errno(err, ENOMEM, "cannot open a journal reader");
    reader->disk = disk;
    reader->page = page;
    reader->file = -1;
    buf_init(&reader->window, READER_MAX_FRAME_BYTES);
    *ret_reader = reader;
    return 0;
}

static void leave_segment(struct journal_reader *reader)
{
    if (reader->file >= 0)
        reader->disk->ops->close(reader->disk, reader->file);
    reader->file = -1;
    reader->closed_end = 0;
    reader->batch_end = 0;
    reader->window.n = 0;
}

void reader_close(struct journal_reader **reader)
{
    if (*reader == NULL)
        return;
    leave_segment(*reader);
    buf_fini(&(*reader)->window);
    free(*reader);
    *reader = NULL;
}

/* Opens segment `number` and reads its header. -ENODATA: it has none. */
static int open_header(struct journal_reader *reader, uint64_t number, int *ret_file,
                       struct segment_header *ret_header)
{
    char name[SEGMENT_NAME_BYTES];
    int file, r;

    segment_name(number, name);
    file = reader->disk->ops->open(reader->disk, name, DISK_READ);
    if (file < 0)
        return file == -ENOENT ? -ENODATA : file;
    r = segment_header_read(reader->disk, file, number, ret_header);
    if (r < 0 || ret_file == NULL)
        reader->disk->ops->close(reader->disk, file);
    else
        *ret_file = file;
    return r;
}

/*
 * The first segment at or above `number` and at or below `last` with a good header. ret_file may
 * be NULL. -ENODATA: there is none.
 */
static int find_segment(struct journal_reader *reader, uint64_t number, uint64_t last,
                        int *ret_file, struct segment_header *ret_header, struct err *err)
{
    struct segment_list list;
    int r = segment_list_read(reader->disk, &list, err);

    if (r < 0)
        return r;
    r = -ENODATA;
    for (size_t i = 0; i < list.count && r == -ENODATA; i++) {
        if (list.numbers[i] >= number && list.numbers[i] <= last)
            r = open_header(reader, list.numbers[i], ret_file, ret_header);
    }
    segment_list_fini(&list);
    if (r < 0 && r != -ENODATA)
        err_errno(err, -r, "cannot read a segment's header");
    return r;
}

/*
 * Segment `number` is known to hold batches, but its header is damaged: they are looked for behind
 * it. 1, 0: there is no such file, -errno.
 */
static int enter_damaged(struct journal_reader *reader, uint64_t number, struct err *err)
{
    char name[SEGMENT_NAME_BYTES];
    int file;

    segment_name(number, name);
    file = reader->disk->ops->open(reader->disk, name, DISK_READ);
    if (file == -ENOENT)
        return 0;
    if (file < 0)
        return err_errno(err, -file, "cannot open a damaged segment");
    reader->file = file;
    reader->number = number;
    reader->offset = SEGMENT_HEADER_BYTES;
    return 1;
}

/* Makes `number`, or the next one that is there, the segment under the reader. 1, 0 none, -errno */
static int enter_segment(struct journal_reader *reader, uint64_t number, uint64_t last,
                         struct err *err)
{
    struct segment_header header;
    int file, r, damaged = 0;

    leave_segment(reader);
    r = find_segment(reader, number, last, &file, &header, err);
    if (r == -ENODATA)
        return last < number ? 0 : enter_damaged(reader, last, err);
    if (r < 0)
        return r;
    /* The one that it follows was not found: passed and removed, or damaged. */
    if (header.previous >= number && header.previous > 0)
        damaged = enter_damaged(reader, header.previous, err);
    if (damaged != 0) {
        reader->disk->ops->close(reader->disk, file);
        return damaged;
    }
    reader->file = file;
    reader->number = header.number;
    reader->offset = header.data_offset;
    return 1;
}

/* How far the segment under the reader may be read. */
static int segment_end(struct journal_reader *reader, const struct lane_state *state,
                       uint64_t *ret_end, struct err *err)
{
    struct segment_header next;
    int r;

    if (reader->number == state->segment) {
        *ret_end = state->end;
        return 0;
    }
    if (reader->number > state->segment) { /* an older page than at the last look */
        *ret_end = reader->offset;
        return 0;
    }
    if (reader->closed_end == 0) {
        r = find_segment(reader, reader->number + 1, state->segment, NULL, &next, err);
        if (r == -ENODATA)
            next.previous = UINT64_MAX; /* damaged, all of them: nothing says where this one ends */
        else if (r < 0)
            return r;
        if (next.previous == reader->number)
            reader->closed_end = next.previous_end;
        else if (next.previous < reader->number)
            reader->closed_end = SEGMENT_HEADER_BYTES; /* void: nothing in it was ever durable */
        else
            reader->closed_end = (uint64_t)reader->disk->ops->size(reader->disk, reader->file);
    }
    *ret_end = reader->closed_end;
    return 0;
}

/* `n` bytes at `offset`, all of them below `end`, through the window. Borrowed. */
static int read_at(struct journal_reader *reader, uint64_t offset, uint64_t n, uint64_t end,
                   const uint8_t **ret_p)
{
    uint64_t want = n > READER_WINDOW_BYTES ? n : READER_WINDOW_BYTES;
    ssize_t got;

    if (offset >= reader->window_offset && offset + n <= reader->window_offset + reader->window.n) {
        *ret_p = reader->window.p + (offset - reader->window_offset);
        return 0;
    }
    if (want > end - offset)
        want = end - offset;
    reader->window.n = 0;
    if (n <= READER_WINDOW_BYTES)
        buf_trim(&reader->window, READER_WINDOW_BYTES);
    if (buf_reserve(&reader->window, want) < 0)
        return -ENOMEM;
    got = reader->disk->ops->pread(reader->disk, reader->file, reader->window.p, want, offset);
    if (got < 0)
        return (int)got;
    reader->window.n = (size_t)got;
    reader->window_offset = offset;
    if ((uint64_t)got < n)
        return -ENODATA; /* the file is shorter than what was durable: damaged */
    *ret_p = reader->window.p;
    return 0;
}

/* The batch header at the offset is broken: goes on at the next good one, or at the end. */
static int look_past(struct journal_reader *reader, uint64_t end, uint64_t sequence)
{
    uint64_t found = end;
    int r = segment_find_batch(reader->disk, reader->file, reader->offset + SEGMENT_ALIGN, end,
                               sequence, &found);

    if (r < 0 && r != -ENODATA)
        return r;
    reader->counts.bad_batches++;
    reader->counts.bytes += found - reader->offset;
    reader->offset = found;
    return 0;
}

/* Enters the batch at the offset, or passes it over. */
static int enter_batch(struct journal_reader *reader, uint64_t end)
{
    struct batch_header header;
    const uint8_t *p;
    int r = -ENODATA;

    if (end - reader->offset >= sizeof(header))
        r = read_at(reader, reader->offset, sizeof(header), end, &p);
    if (r < 0 && r != -ENODATA)
        return r;
    if (r == 0)
        memcpy(&header, p, sizeof(header));
    if (r < 0 || !segment_is_batch(&header) || header.length > end - reader->offset)
        return look_past(reader, end, reader->batch.sequence + 1);
    if (header.sequence < reader->seek_sequence || header.frames == 0) {
        reader->batch = header;
        reader->offset += header.length;
        return 0;
    }
    reader->batch = header;
    reader->next_frame = 0;
    reader->batch_end = reader->offset + header.length;
    reader->offset += sizeof(header);
    return 0;
}

/* Gives up the rest of the batch under the reader. */
static void abandon_batch(struct journal_reader *reader)
{
    reader->counts.bad_frames += reader->batch.frames - reader->next_frame;
    reader->counts.bytes += reader->batch_end - reader->offset;
    reader->offset = reader->batch_end;
    reader->batch_end = 0;
}

static void frame_from(const struct journal_reader *reader, const struct frame_header *header,
                       const uint8_t *payload, struct journal_frame *ret_frame)
{
    *ret_frame = (struct journal_frame){
        .sequence = header->sequence,
        .index = header->index,
        .frames = reader->batch.frames,
        .codec = header->codec,
        .plain_bytes = header->plain_bytes,
        .plain_crc = header->plain_crc,
        .records = header->records,
        .first_time_ns = header->first_time_ns,
        .last_time_ns = header->last_time_ns,
        .segment = reader->number,
        .payload = slice_of(payload, header->payload_bytes),
    };
}

/* The next frame of the batch under the reader: 1; 0: passed over or given up; -errno. */
static int next_frame(struct journal_reader *reader, struct journal_frame *ret_frame)
{
    uint64_t limit = reader->batch_end - reader->batch.commit_bytes;
    struct frame_header header;
    const uint8_t *p;
    uint64_t whole;
    int r;

    if (reader->next_frame == reader->batch.frames) {
        reader->offset = reader->batch_end;
        reader->batch_end = 0;
        return 0;
    }
    r = limit - reader->offset < sizeof(header)
            ? -ENODATA
            : read_at(reader, reader->offset, sizeof(header), reader->batch_end, &p);
    if (r == 0)
        memcpy(&header, p, sizeof(header));
    if (r < 0 && r != -ENODATA)
        return r;
    if (r < 0 || !segment_is_frame(&header) || header.sequence != reader->batch.sequence ||
        header.index != reader->next_frame) {
        abandon_batch(reader);
        return 0;
    }
    whole = sizeof(header) + ((uint64_t)header.payload_bytes + 7) / 8 * 8;
    if (whole > limit - reader->offset) {
        abandon_batch(reader);
        return 0;
    }
    if (header.sequence == reader->seek_sequence && header.index < reader->seek_index) {
        reader->offset += whole;
        reader->next_frame++;
        return 0;
    }
    r = read_at(reader, reader->offset, whole, reader->batch_end, &p);
    if (r < 0 && r != -ENODATA)
        return r;
    reader->offset += whole;
    reader->next_frame++;
    if (r < 0 || crc32c(0, p + sizeof(header), header.payload_bytes) != header.payload_crc) {
        reader->counts.bad_frames++;
        reader->counts.bytes += whole;
        return 0;
    }
    frame_from(reader, &header, p + sizeof(header), ret_frame);
    return 1;
}

int reader_next(struct journal_reader *reader, struct journal_frame *ret_frame, struct err *err)
{
    struct lane_state state;
    uint64_t end;
    int r;

    if (!lane_page_read(reader->page, &state))
        return 0;
    if (reader->file < 0) {
        r = enter_segment(reader, reader->number, state.segment, err);
        if (r <= 0)
            return r;
    }
    for (;;) {
        r = segment_end(reader, &state, &end, err);
        if (r < 0)
            return r;
        if (reader->batch_end != 0)
            r = next_frame(reader, ret_frame);
        else if (reader->offset < end)
            r = enter_batch(reader, end);
        else if (reader->number >= state.segment)
            return 0;
        else if ((r = enter_segment(reader, reader->number + 1, state.segment, err)) == 0)
            return 0;
        else if (r > 0)
            continue;
        if (r < 0)
            return err_errno(err, -r, "cannot read the journal");
        if (r > 0)
            return 1;
    }
}

int reader_seek(struct journal_reader *reader, uint64_t sequence, uint32_t index, struct err *err)
{
    struct segment_header header;
    struct segment_list list;
    struct lane_state state;
    uint64_t number = 0, last = 0;
    int r = segment_list_read(reader->disk, &list, err);

    if (r < 0)
        return r;
    /* A later segment may be given up yet, and the batch come into the present one. */
    if (lane_page_read(reader->page, &state))
        last = state.segment;
    for (size_t i = 0; i < list.count && list.numbers[i] <= last; i++) {
        r = open_header(reader, list.numbers[i], NULL, &header);
        if (r < 0 && r != -ENODATA) {
            segment_list_fini(&list);
            return err_errno(err, -r, "cannot read a segment's header");
        }
        if (r == 0 && header.first_sequence <= sequence)
            number = header.number;
    }
    segment_list_fini(&list);
    leave_segment(reader);
    reader->number = number;
    reader->batch.sequence = 0;
    reader->seek_sequence = sequence;
    reader->seek_index = index;
    return 0;
}

uint64_t reader_finished(const struct journal_reader *reader)
{
    return reader->batch_end == 0 ? reader->batch.sequence : 0;
}

const struct reader_counts *reader_counts(const struct journal_reader *reader)
{
    return &reader->counts;
}

int reader_range(struct journal_reader *reader, uint64_t *ret_first, uint64_t *ret_next)
{
    struct segment_header header;
    struct lane_state state;
    int r;

    if (!lane_page_read(reader->page, &state))
        return -ENODATA;
    r = find_segment(reader, 0, state.segment, NULL, &header, NULL);
    if (r < 0 && r != -ENODATA)
        return r;
    *ret_first = r == 0 ? header.first_sequence : state.next_sequence;
    *ret_next = state.next_sequence;
    return 0;
}

/* Removes what stands before the first segment in the list that may still be needed. */
static int remove_listed(struct journal_reader *reader, const struct segment_list *list,
                         uint64_t last, uint64_t sequence, unsigned *removed)
{
    size_t gone = 0;

    for (size_t i = 1; i < list->count && list->numbers[i] <= last; i++) {
        struct segment_header next;
        int r = open_header(reader, list->numbers[i], NULL, &next);

        if (r == -ENODATA)
            continue; /* unreadable: it goes with its predecessors when a later one is passed */
        if (r < 0)
            return r;
        if (next.first_sequence > sequence) {
            reader->removable_at = next.first_sequence;
            return 0;
        }
        for (; gone < i; gone++) {
            char name[SEGMENT_NAME_BYTES];

            segment_name(list->numbers[gone], name);
            r = reader->disk->ops->remove(reader->disk, name);
            if (r < 0 && r != -ENOENT)
                return r;
            (*removed)++;
        }
    }
    reader->removable_at = 0;
    return 0;
}

int reader_remove_passed(struct journal_reader *reader, uint64_t sequence, unsigned *ret_removed,
                         struct err *err)
{
    struct segment_list list;
    struct lane_state state;
    unsigned removed = 0;
    int r;

    *ret_removed = 0;
    if (!lane_page_read(reader->page, &state))
        return 0;
    if (reader->removable_at > sequence)
        return 0;
    r = segment_list_read(reader->disk, &list, err);
    if (r < 0)
        return r;
    r = remove_listed(reader, &list, state.segment, sequence, &removed);
    if (removed > 0 && r == 0)
        r = reader->disk->ops->sync_folder(reader->disk);
    segment_list_fini(&list);
    *ret_removed = removed;
    return r < 0 ? err_errno(err, -r, "cannot remove a passed segment") : 0;
}

int64_t reader_usage(struct journal_reader *reader)
{
    return reader->disk->ops->usage(reader->disk);
}
