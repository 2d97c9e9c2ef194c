#include "shared/journal/writer.h"

#include "shared/journal/segment.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct journal_writer {
    struct disk *disk;
    struct writer_config config;
    struct writer_counts counts;
    struct writer_position position;
    int file;      /* of position.segment; < 0: the next commit begins a new segment */
    uint64_t size; /* allocated bytes of it */
    /* the next segment, made ahead */
    int prepared; /* < 0: none */
    uint64_t prepared_number;
    uint64_t last_number; /* the highest number ever used here */
};

int writer_new(struct disk *disk, const struct writer_config *config,
               struct journal_writer **ret_writer, struct err *err)
{
    struct journal_writer *writer = calloc(1, sizeof(*writer));

    if (writer == NULL)
        return err_errno(err, ENOMEM, "cannot make a journal writer");
    writer->disk = disk;
    writer->config = *config;
    writer->file = -1;
    writer->prepared = -1;
    *ret_writer = writer;
    return 0;
}

static void close_file(struct journal_writer *writer, int *file)
{
    if (*file >= 0)
        writer->disk->ops->close(writer->disk, *file);
    *file = -1;
}

void writer_free(struct journal_writer **writer)
{
    if (*writer == NULL)
        return;
    close_file(*writer, &(*writer)->file);
    close_file(*writer, &(*writer)->prepared);
    free(*writer);
    *writer = NULL;
}

static uint64_t highest_number(struct journal_writer *writer)
{
    struct segment_list list;
    uint64_t highest = writer->position.segment;

    if (segment_list_read(writer->disk, &list, NULL) < 0)
        return highest;
    if (list.count > 0 && list.numbers[list.count - 1] > highest)
        highest = list.numbers[list.count - 1];
    segment_list_fini(&list);
    return highest;
}

void writer_renew(struct journal_writer *writer, const struct writer_position *position)
{
    close_file(writer, &writer->file);
    close_file(writer, &writer->prepared);
    writer->position = *position;
    writer->last_number = highest_number(writer);
}

/*
 * Removes the segments behind the position for certain: a predecessor made them and published
 * nothing in them. A header among them says that its segment follows ours where it ended then; once
 * ours goes on behind that, a reader or a cold recovery that believes it would lose what we add.
 */
static int drop_later(struct journal_writer *writer)
{
    const struct disk_ops *ops = writer->disk->ops;
    struct segment_list list;
    int r = segment_list_read(writer->disk, &list, NULL);

    if (r < 0)
        return r;
    for (size_t i = 0; i < list.count && r == 0; i++) {
        char name[SEGMENT_NAME_BYTES];

        if (list.numbers[i] <= writer->position.segment)
            continue;
        segment_name(list.numbers[i], name);
        r = ops->remove(writer->disk, name);
    }
    segment_list_fini(&list);
    return r < 0 ? r : ops->sync_folder(writer->disk);
}

void writer_resume(struct journal_writer *writer, const struct writer_position *position)
{
    const struct disk_ops *ops = writer->disk->ops;
    char name[SEGMENT_NAME_BYTES];
    uint64_t size = writer->config.segment_bytes;
    int file;

    writer_renew(writer, position);
    if (position->segment == 0)
        return;
    if (drop_later(writer) < 0) {
        writer->counts.errors++;
        return;
    }
    writer->last_number = position->segment;
    segment_name(position->segment, name);
    file = ops->open(writer->disk, name, DISK_WRITE);
    if (file < 0)
        return;
    if (size < position->end)
        size = position->end;
    /* What a predecessor wrote and never published must not look like a batch of ours later. */
    if (ops->truncate(writer->disk, file, position->end) < 0 ||
        ops->allocate(writer->disk, file, size) < 0 || ops->datasync(writer->disk, file) < 0) {
        writer->counts.errors++;
        close_file(writer, &file);
        return;
    }
    writer->file = file;
    writer->size = size;
}

bool writer_would_roll(const struct journal_writer *writer, uint64_t bytes)
{
    return writer->file < 0 || bytes > writer->size - writer->position.end;
}

struct writer_position writer_position(const struct journal_writer *writer)
{
    return writer->position;
}

const struct writer_counts *writer_counts(const struct journal_writer *writer)
{
    return &writer->counts;
}

/*
 * Allocates *size bytes, or on a disk that is nearly full less, but not less than `least`: waiting
 * for a whole segment's room could be for ever, when only a successor lets the present one go.
 */
static int allocate(struct journal_writer *writer, int file, uint64_t least, uint64_t *size)
{
    const struct disk_ops *ops = writer->disk->ops;
    int r = ops->allocate(writer->disk, file, *size);

    while (r == -ENOSPC && *size > least) {
        *size = *size / 2 > least ? *size / 2 : least;
        r = ops->truncate(writer->disk, file, 0); /* what came of the try before */
        if (r == 0)
            r = ops->allocate(writer->disk, file, *size);
    }
    return r;
}

/*
 * Makes the next segment file, with *size bytes (`least` where no more fit), its name synced in the
 * folder. Its number is writer->last_number then. Where it fails the number is used up too: what
 * was made of the file may refuse to go away.
 */
static int make_file(struct journal_writer *writer, uint64_t least, uint64_t *size, int *ret_file,
                     struct err *err)
{
    const struct disk_ops *ops = writer->disk->ops;
    uint64_t number = writer->last_number + 1;
    char name[SEGMENT_NAME_BYTES];
    int file, r;

    segment_name(number, name);
    if (writer->config.may_grow != NULL) {
        r = writer->config.may_grow(writer->config.context, *size, err);
        if (r < 0)
            return r;
    }
    file = ops->open(writer->disk, name, DISK_FRESH);
    if (file >= 0 || file == -EEXIST)
        writer->last_number = number;
    if (file < 0)
        return err_errno(err, -file, "cannot make segment %s", name);
    r = allocate(writer, file, least, size);
    if (r == 0)
        r = ops->sync_folder(writer->disk);
    if (r < 0) {
        ops->close(writer->disk, file);
        ops->remove(writer->disk, name);
        return err_errno(err, -r, "cannot allocate segment %s", name);
    }
    *ret_file = file;
    return 0;
}

void writer_prepare(struct journal_writer *writer)
{
    uint64_t size = writer->config.segment_bytes;

    if (writer->prepared >= 0 || writer->file < 0 || writer->position.end < writer->size / 2)
        return;
    /* Not an error yet where it fails: the roll tries again and reports. */
    if (make_file(writer, size, &size, &writer->prepared, NULL) == 0)
        writer->prepared_number = writer->last_number;
}

/* Removes a prepared segment that is too small for what comes. */
static void drop_prepared(struct journal_writer *writer)
{
    char name[SEGMENT_NAME_BYTES];

    close_file(writer, &writer->prepared);
    segment_name(writer->prepared_number, name);
    if (writer->disk->ops->remove(writer->disk, name) < 0)
        writer->counts.errors++;
}

/* A file for the next segment that takes `bytes`. */
static int take_file(struct journal_writer *writer, uint64_t bytes, int *ret_file,
                     uint64_t *ret_number, uint64_t *ret_size, struct err *err)
{
    uint64_t size = writer->config.segment_bytes;
    int r;

    if (size < bytes)
        size = bytes;
    if (writer->prepared >= 0 && size == writer->config.segment_bytes) {
        *ret_file = writer->prepared;
        *ret_number = writer->prepared_number;
        *ret_size = size;
        writer->prepared = -1;
        return 0;
    }
    if (writer->prepared >= 0)
        drop_prepared(writer);
    r = make_file(writer, bytes, &size, ret_file, err);
    if (r < 0)
        return r;
    *ret_number = writer->last_number;
    *ret_size = size;
    return 0;
}

static int write_header(struct journal_writer *writer, int file, uint64_t number,
                        const struct writer_batch *batch)
{
    struct segment_header header = {
        .lane = writer->config.lane,
        .number = number,
        .first_sequence = batch->sequence,
        .previous = writer->position.segment,
        .previous_end = writer->position.end,
        .created_ns = batch->now_ns,
        .records_before = writer->position.records,
    };
    int r = 0;

    segment_header_seal(&header, batch->window.p, batch->window.n);
    if (batch->window.n > 0)
        r = writer->disk->ops->pwrite(writer->disk, file, batch->window.p, batch->window.n,
                                      SEGMENT_HEADER_BYTES);
    if (r == 0)
        r = writer->disk->ops->pwrite(writer->disk, file, &header, sizeof(header), 0);
    return r;
}

static int sync_file(struct journal_writer *writer, int file)
{
    writer->counts.syncs++;
    return writer->disk->ops->datasync(writer->disk, file);
}

/* The batch opens a new segment; header, window and batch become durable in one sync. */
static int commit_rolled(struct journal_writer *writer, const struct writer_batch *batch,
                         struct err *err)
{
    uint32_t keys = (uint32_t)(batch->window.n / sizeof(struct segment_key));
    uint64_t at = segment_data_offset(keys);
    uint64_t number, size;
    int file, r;

    r = take_file(writer, at + batch->bytes.n, &file, &number, &size, err);
    if (r < 0)
        return r;
    r = write_header(writer, file, number, batch);
    if (r == 0)
        r = writer->disk->ops->pwrite(writer->disk, file, batch->bytes.p, batch->bytes.n, at);
    if (r == 0)
        r = sync_file(writer, file);
    if (r < 0) {
        /* The header may be on the disk or not: either way nothing in it was promised. */
        char name[SEGMENT_NAME_BYTES];

        close_file(writer, &file);
        segment_name(number, name);
        writer->disk->ops->remove(writer->disk, name);
        writer->disk->ops->sync_folder(writer->disk);
        return err_errno(err, -r, "cannot write segment %" PRIu64, number);
    }
    if (writer->file >= 0 && writer->position.end < writer->size)
        writer->disk->ops->truncate(writer->disk, writer->file, writer->position.end);
    close_file(writer, &writer->file);
    writer->file = file;
    writer->size = size;
    writer->position.segment = number;
    writer->position.end = at + batch->bytes.n;
    return 0;
}

static int commit_appended(struct journal_writer *writer, struct slice batch, struct err *err)
{
    int r = writer->disk->ops->pwrite(writer->disk, writer->file, batch.p, batch.n,
                                      writer->position.end);

    if (r == 0)
        r = sync_file(writer, writer->file);
    if (r < 0) {
        close_file(writer, &writer->file);
        return err_errno(err, -r, "cannot write segment %" PRIu64, writer->position.segment);
    }
    writer->position.end += batch.n;
    return 0;
}

int writer_commit(struct journal_writer *writer, const struct writer_batch *batch, struct err *err)
{
    int r;

    if (writer_would_roll(writer, batch->bytes.n))
        r = commit_rolled(writer, batch, err);
    else
        r = commit_appended(writer, batch->bytes, err);
    if (r < 0) {
        writer->counts.errors++;
        return r;
    }
    writer->position.records += batch->records;
    writer->counts.bytes += batch->bytes.n;
    return 0;
}
