#include "processor/quarantine.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#define QUARANTINE_MAX_BYTES (2ull << 30)
#define QUARANTINE_TEXT_BYTES 1024u

static const char *carrier_name(enum chunk_carrier carrier)
{
    switch (carrier) {
    case CHUNK_MESSAGE:
        return "message";
    case CHUNK_FORWARD:
        return "forward";
    case CHUNK_PACKED:
        return "packed";
    }
    return "unknown";
}

static const char *compression_name(enum chunk_compression compression)
{
    switch (compression) {
    case CHUNK_PLAIN:
        return "none";
    case CHUNK_GZIP:
        return "gzip";
    case CHUNK_ZSTD:
        return "zstd";
    }
    return "unknown";
}

/* A client's text for the description: cut, and made printable ASCII. */
static struct json_object *text(struct slice s)
{
    char clean[QUARANTINE_TEXT_BYTES];
    size_t n = s.n < sizeof(clean) ? s.n : sizeof(clean);

    for (size_t i = 0; i < n; i++)
        clean[i] = s.p[i] >= 0x20 && s.p[i] < 0x7f ? (char)s.p[i] : '?';
    return json_object_new_string_len(clean, (int)n);
}

static struct json_object *describe(const struct chunk *chunk, const char *reason)
{
    struct json_object *o = json_object_new_object();

    if (o == NULL)
        return NULL;
    json_object_object_add(o, "reason", json_object_new_string(reason));
    json_object_object_add(o, "tag", text(chunk->tag));
    json_object_object_add(o, "peer", text(chunk->peer));
    json_object_object_add(o, "received_ns", json_object_new_int64((int64_t)chunk->received_ns));
    json_object_object_add(o, "carrier", json_object_new_string(carrier_name(chunk->carrier)));
    json_object_object_add(o, "compression",
                           json_object_new_string(compression_name(chunk->compression)));
    json_object_object_add(o, "payload_bytes", json_object_new_int64((int64_t)chunk->payload.n));
    return o;
}

static int fill(struct quarantine_item *item, const struct chunk *chunk, const char *reason)
{
    struct json_object *o = describe(chunk, reason);
    const char *line;
    int r = -ENOMEM;

    if (o == NULL)
        return -ENOMEM;
    buf_init(&item->bytes, QUARANTINE_MAX_BYTES);
    line = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN);
    if (line != NULL && buf_append(&item->bytes, line, strlen(line)) == 0 &&
        buf_append(&item->bytes, "\n", 1) == 0)
        r = buf_append(&item->bytes, chunk->payload.p, chunk->payload.n);
    json_object_put(o);
    if (r < 0)
        buf_fini(&item->bytes);
    return r;
}

int quarantine_add(struct quarantine_list *list, const struct chunk *chunk, const char *reason,
                   uint32_t lane, uint64_t number)
{
    struct quarantine_item *grown =
        reallocarray(list->items, list->count + 1, sizeof(*list->items));
    struct quarantine_item *item;
    int r;

    if (grown == NULL)
        return -ENOMEM;
    list->items = grown;
    item = &grown[list->count];
    *item = (struct quarantine_item){0};
    snprintf(item->name, sizeof(item->name), "chunk-%020" PRIu64 "-%02u-%" PRIu64 ".raw",
             chunk->received_ns, lane, number);
    r = fill(item, chunk, reason);
    if (r == 0)
        list->count++;
    return r;
}

static int write_item(struct disk *disk, const struct quarantine_item *item)
{
    int file = disk->ops->open(disk, item->name, DISK_CREATE);
    int r;

    if (file < 0)
        return file;
    r = disk->ops->pwrite(disk, file, item->bytes.p, item->bytes.n, 0);
    if (r == 0)
        r = disk->ops->datasync(disk, file);
    disk->ops->close(disk, file);
    return r;
}

int quarantine_write(struct disk *disk, const struct quarantine_list *list, struct err *err)
{
    for (unsigned i = 0; i < list->count; i++) {
        int r = write_item(disk, &list->items[i]);

        if (r < 0)
            return err_errno(err, -r, "cannot write %s to quarantine", list->items[i].name);
    }
    if (list->count > 0) {
        int r = disk->ops->sync_folder(disk);

        if (r < 0)
            return err_errno(err, -r, "cannot sync the quarantine folder");
    }
    return 0;
}

void quarantine_clear(struct quarantine_list *list)
{
    for (unsigned i = 0; i < list->count; i++)
        buf_fini(&list->items[i].bytes);
    free(list->items);
    *list = (struct quarantine_list){0};
}
