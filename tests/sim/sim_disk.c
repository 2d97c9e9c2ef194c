#include "tests/sim/sim_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIM_SECTOR 512u
#define SIM_FILES 512
#define SIM_NAME_BYTES 128

struct change {
    enum { CHANGE_WRITE, CHANGE_SIZE } kind;
    uint64_t offset; /* or the new size */
    uint8_t *bytes;
    size_t n;
};

struct content {
    uint8_t *bytes;
    uint64_t size, room;
};

struct node {
    struct content seen, durable;
    struct change *changes;
    size_t change_count;
    unsigned names; /* entries and open files that keep it */
};

struct entry {
    char name[SIM_NAME_BYTES];
    struct node *seen;    /* NULL: removed, or not there yet */
    struct node *durable; /* what the name leads to after a power cut */
};

struct folder {
    struct sim_machine *machine;
    struct entry entries[SIM_FILES];
    unsigned entry_count;
    unsigned views;
};

struct sim_disk {
    struct disk disk;
    struct folder *folder;
    struct sim_process *process;
    struct node *open[SIM_FILES];
};

void sim_random_seed(struct sim_random *random, uint64_t seed)
{
    random->state = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
    for (int i = 0; i < 4; i++)
        sim_random_next(random);
}

uint64_t sim_random_next(struct sim_random *random)
{
    uint64_t x = random->state ? random->state : 88172645463325252ull;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * 0x2545f4914f6cdd1dull;
}

uint64_t sim_random_below(struct sim_random *random, uint64_t below)
{
    return below == 0 ? 0 : sim_random_next(random) % below;
}

bool sim_random_chance(struct sim_random *random, unsigned percent)
{
    return sim_random_below(random, 100) < percent;
}

/* ---- contents ---- */

static void resize(struct content *content, uint64_t size)
{
    if (size > content->room) {
        content->bytes = realloc(content->bytes, size);
        if (content->bytes == NULL)
            abort();
        content->room = size;
    }
    if (size > content->size)
        memset(content->bytes + content->size, 0, size - content->size);
    content->size = size;
}

static void put(struct content *content, uint64_t offset, const uint8_t *p, size_t n)
{
    if (n == 0)
        return;
    if (offset + n > content->size)
        resize(content, offset + n);
    memcpy(content->bytes + offset, p, n);
}

static void apply(struct content *content, const struct change *change)
{
    if (change->kind == CHANGE_SIZE)
        resize(content, change->offset);
    else
        put(content, change->offset, change->bytes, change->n);
}

/* A torn write: each sector of it is there or not. */
static void apply_torn(struct content *content, const struct change *change,
                       struct sim_random *random)
{
    uint64_t at = change->offset, end = change->offset + change->n;

    while (at < end) {
        uint64_t next = (at / SIM_SECTOR + 1) * SIM_SECTOR;

        if (next > end)
            next = end;
        if (sim_random_chance(random, 50))
            put(content, at, change->bytes + (at - change->offset), next - at);
        at = next;
    }
}

static void forget_changes(struct node *node)
{
    for (size_t i = 0; i < node->change_count; i++)
        free(node->changes[i].bytes);
    free(node->changes);
    node->changes = NULL;
    node->change_count = 0;
}

static void note_change(struct node *node, struct change change)
{
    node->changes = reallocarray(node->changes, node->change_count + 1, sizeof(*node->changes));
    if (node->changes == NULL)
        abort();
    node->changes[node->change_count++] = change;
}

static void release(struct node *node)
{
    if (node == NULL || --node->names > 0)
        return;
    forget_changes(node);
    free(node->seen.bytes);
    free(node->durable.bytes);
    free(node);
}

static struct node *hold(struct node *node)
{
    if (node != NULL)
        node->names++;
    return node;
}

/* ---- faults ---- */

/*
 * Counts an operation. 0: go on; 1: the process dies in the middle of it; negative: it fails, or
 * the process is dead.
 */
static int step(struct sim_disk *d)
{
    struct sim_machine *machine = d->folder->machine;
    struct sim_process *process = d->process;

    if (process->crashed)
        return -EIO;
    machine->operations++;
    process->operations++;
    if (process->operations == process->crash_at) {
        process->crashed = true;
        return 1;
    }
    if (machine->fail_at > 0 && machine->operations >= machine->fail_at &&
        machine->operations - machine->fail_at <
            (machine->fail_count == 0 ? 1 : machine->fail_count))
        return -machine->fail_with;
    if (machine->fail_per_mille > 0 &&
        sim_random_below(machine->random, 1000) < machine->fail_per_mille)
        return -machine->fail_with;
    return 0;
}

static struct sim_disk *sim(struct disk *disk)
{
    return (struct sim_disk *)disk;
}

static struct entry *find(struct sim_disk *disk, const char *name)
{
    struct folder *folder = disk->folder;

    for (unsigned i = 0; i < folder->entry_count; i++) {
        if (strcmp(folder->entries[i].name, name) == 0)
            return &folder->entries[i];
    }
    return NULL;
}

static struct entry *find_or_add(struct sim_disk *disk, const char *name)
{
    struct folder *folder = disk->folder;
    struct entry *entry = find(disk, name);

    if (entry != NULL)
        return entry;
    for (unsigned i = 0; entry == NULL && i < folder->entry_count; i++) {
        if (folder->entries[i].seen == NULL && folder->entries[i].durable == NULL)
            entry = &folder->entries[i];
    }
    if (strlen(name) >= SIM_NAME_BYTES || (entry == NULL && folder->entry_count == SIM_FILES))
        abort();
    if (entry == NULL)
        entry = &folder->entries[folder->entry_count++];
    *entry = (struct entry){0};
    memcpy(entry->name, name, strlen(name) + 1);
    return entry;
}

/* ---- operations ---- */

static int sim_open(struct disk *disk, const char *name, enum disk_open how)
{
    struct sim_disk *d = sim(disk);
    struct entry *entry = find(d, name);
    bool there = entry != NULL && entry->seen != NULL;

    if (d->process->crashed)
        return -EIO;
    if (there && how == DISK_FRESH)
        return -EEXIST;
    if (!there && (how == DISK_READ || how == DISK_WRITE))
        return -ENOENT;
    if (!there) {
        int r = step(d);

        if (r != 0)
            return r < 0 ? r : -EIO;
        entry = find_or_add(d, name);
        entry->seen = calloc(1, sizeof(struct node));
        if (entry->seen == NULL)
            abort();
        entry->seen->names = 1;
    }
    for (int i = 0; i < SIM_FILES; i++) {
        if (d->open[i] == NULL) {
            d->open[i] = hold(entry->seen);
            return i;
        }
    }
    return -EMFILE;
}

static void sim_close(struct disk *disk, int file)
{
    struct sim_disk *d = sim(disk);

    release(d->open[file]);
    d->open[file] = NULL;
}

static ssize_t sim_pread(struct disk *disk, int file, void *p, size_t n, uint64_t offset)
{
    struct sim_disk *d = sim(disk);
    const struct content *content = &d->open[file]->seen;

    if (d->process->crashed)
        return -EIO;
    if (offset >= content->size || n == 0)
        return 0;
    if (n > content->size - offset)
        n = content->size - offset;
    memcpy(p, content->bytes + offset, n);
    return (ssize_t)n;
}

/* The file is about to have `size` bytes, at least. */
static int take_space(struct sim_disk *d, const struct node *node, uint64_t size)
{
    struct sim_machine *machine = d->folder->machine;
    uint64_t more = size > node->seen.size ? size - node->seen.size : 0;

    if (more > 0 && machine->full_bytes > 0 && machine->used_bytes + more > machine->full_bytes)
        return -ENOSPC;
    machine->used_bytes += more;
    return 0;
}

static int sim_pwrite(struct disk *disk, int file, const void *p, size_t n, uint64_t offset)
{
    struct sim_disk *d = sim(disk);
    struct node *node = d->open[file];
    struct change change = {CHANGE_WRITE, offset, NULL, n};
    int r = step(d);

    if (r == 0)
        r = take_space(d, node, offset + n);
    if (r != 0) /* any beginning of it may have reached the page cache */
        change.n = sim_random_below(d->folder->machine->random, n + 1);
    if (r < 0 && d->process->crashed)
        return r;
    if (r != 0 && offset + change.n > node->seen.size)
        change.n = 0; /* a file grows by whole writes only: its size is counted */
    if (change.n > 0) {
        change.bytes = malloc(change.n);
        if (change.bytes == NULL)
            abort();
        memcpy(change.bytes, p, change.n);
        note_change(node, change);
        apply(&node->seen, &change);
    }
    return r == 0 ? 0 : r < 0 ? r : -EIO;
}

static int sim_datasync(struct disk *disk, int file)
{
    struct sim_disk *d = sim(disk);
    struct node *node = d->open[file];
    int r = step(d);

    if (r < 0 && d->process->crashed)
        return r;
    if (r != 0) {
        /* Some of it reached the disk; the rest is clean in the page cache and lost. */
        for (size_t i = 0; i < node->change_count; i++) {
            if (node->changes[i].kind == CHANGE_SIZE)
                apply(&node->durable, &node->changes[i]);
            else
                apply_torn(&node->durable, &node->changes[i], d->folder->machine->random);
        }
        if (r < 0)
            forget_changes(node);
        return r < 0 ? r : -EIO;
    }
    d->folder->machine->syncs++;
    if (d->folder->machine->lies)
        return 0;
    for (size_t i = 0; i < node->change_count; i++)
        apply(&node->durable, &node->changes[i]);
    forget_changes(node);
    return 0;
}

static int change_size(struct disk *disk, int file, uint64_t size)
{
    struct sim_disk *d = sim(disk);
    struct node *node = d->open[file];
    struct change change = {CHANGE_SIZE, size, NULL, 0};
    int r = step(d);

    if (r != 0)
        return r < 0 ? r : -EIO;
    if (take_space(d, node, size) < 0)
        return -ENOSPC;
    if (size < node->seen.size)
        d->folder->machine->used_bytes -= node->seen.size - size;
    note_change(node, change);
    apply(&node->seen, &change);
    return 0;
}

static int sim_allocate(struct disk *disk, int file, uint64_t size)
{
    if (size <= sim(disk)->open[file]->seen.size)
        return sim(disk)->process->crashed ? -EIO : 0;
    return change_size(disk, file, size);
}

static int sim_truncate(struct disk *disk, int file, uint64_t size)
{
    return change_size(disk, file, size);
}

static int64_t sim_size(struct disk *disk, int file)
{
    return sim(disk)->process->crashed ? -EIO : (int64_t)sim(disk)->open[file]->seen.size;
}

static int sim_remove(struct disk *disk, const char *name)
{
    struct sim_disk *d = sim(disk);
    struct entry *entry = find(d, name);
    int r;

    if (entry == NULL || entry->seen == NULL)
        return d->process->crashed ? -EIO : -ENOENT;
    r = step(d);
    if (r != 0)
        return r < 0 ? r : -EIO;
    d->folder->machine->used_bytes -= entry->seen->seen.size;
    release(entry->seen);
    entry->seen = NULL;
    return 0;
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = sim(disk);
    struct entry *source = find(d, from);
    struct entry *target;
    int r;

    if (source == NULL || source->seen == NULL)
        return d->process->crashed ? -EIO : -ENOENT;
    r = step(d);
    if (r != 0)
        return r < 0 ? r : -EIO;
    target = find_or_add(d, to);
    source = find(d, from);
    if (target->seen != NULL)
        d->folder->machine->used_bytes -= target->seen->seen.size;
    release(target->seen);
    target->seen = source->seen;
    source->seen = NULL;
    return 0;
}

static void settle_name(struct entry *entry)
{
    struct node *old = entry->durable;

    entry->durable = hold(entry->seen);
    release(old);
}

static int sim_sync_folder(struct disk *disk)
{
    struct sim_disk *d = sim(disk);
    int r = step(d);

    if (r != 0)
        return r < 0 ? r : -EIO;
    for (unsigned i = 0; i < d->folder->entry_count; i++)
        settle_name(&d->folder->entries[i]);
    return 0;
}

static int sim_list(struct disk *disk, int (*each)(void *context, const char *name), void *context)
{
    struct sim_disk *d = sim(disk);

    if (d->process->crashed)
        return -EIO;
    for (unsigned i = 0; i < d->folder->entry_count; i++) {
        int r = d->folder->entries[i].seen == NULL ? 0 : each(context, d->folder->entries[i].name);

        if (r != 0)
            return r;
    }
    return 0;
}

static int64_t sim_usage(struct disk *disk)
{
    struct sim_disk *d = sim(disk);
    int64_t sum = 0;

    for (unsigned i = 0; i < d->folder->entry_count; i++)
        sum +=
            d->folder->entries[i].seen == NULL ? 0 : (int64_t)d->folder->entries[i].seen->seen.size;
    return sum;
}

static void close_all(struct sim_disk *d)
{
    for (int i = 0; i < SIM_FILES; i++) {
        release(d->open[i]);
        d->open[i] = NULL;
    }
}

static void sim_free(struct disk *disk)
{
    struct sim_disk *d = sim(disk);

    close_all(d);
    if (--d->folder->views == 0) {
        for (unsigned i = 0; i < d->folder->entry_count; i++) {
            release(d->folder->entries[i].seen);
            release(d->folder->entries[i].durable);
        }
        free(d->folder);
    }
    free(d);
}

static const struct disk_ops sim_ops = {
    .open = sim_open,
    .close = sim_close,
    .pread = sim_pread,
    .pwrite = sim_pwrite,
    .datasync = sim_datasync,
    .allocate = sim_allocate,
    .truncate = sim_truncate,
    .size = sim_size,
    .remove = sim_remove,
    .rename = sim_rename,
    .sync_folder = sim_sync_folder,
    .list = sim_list,
    .usage = sim_usage,
    .free = sim_free,
};

static struct disk *view_new(struct folder *folder, struct sim_process *process)
{
    struct sim_disk *d = calloc(1, sizeof(*d));

    if (d == NULL)
        abort();
    d->disk.ops = &sim_ops;
    d->folder = folder;
    d->process = process;
    folder->views++;
    return &d->disk;
}

struct disk *sim_disk_new(struct sim_machine *machine)
{
    struct folder *folder = calloc(1, sizeof(*folder));

    if (folder == NULL)
        abort();
    folder->machine = machine;
    return view_new(folder, &machine->process);
}

struct disk *sim_disk_view(struct disk *disk, struct sim_process *process)
{
    return view_new(sim(disk)->folder, process);
}

void sim_disk_reboot(struct disk *disk)
{
    close_all(sim(disk));
    sim(disk)->process->crashed = false;
}

/* What a file holds after the cut: any subset of its unsynced changes, torn. */
static void cut_node(struct node *node, struct sim_random *random)
{
    for (size_t i = 0; i < node->change_count; i++) {
        const struct change *change = &node->changes[i];

        if (sim_random_chance(random, 40))
            continue;
        if (change->kind == CHANGE_SIZE || sim_random_chance(random, 50))
            apply(&node->durable, change);
        else
            apply_torn(&node->durable, change, random);
    }
    forget_changes(node);
    resize(&node->seen, 0);
    put(&node->seen, 0, node->durable.bytes, node->durable.size);
}

void sim_disk_power_cut(struct disk *disk)
{
    struct sim_disk *d = sim(disk);
    struct sim_random *random = d->folder->machine->random;

    d->folder->machine->used_bytes -= (uint64_t)sim_usage(disk);
    sim_disk_reboot(disk);
    for (unsigned i = 0; i < d->folder->entry_count; i++) {
        struct entry *entry = &d->folder->entries[i];

        if (entry->seen != entry->durable && sim_random_chance(random, 50)) {
            release(entry->seen);
            entry->seen = hold(entry->durable);
        }
        settle_name(entry);
        if (entry->seen != NULL)
            cut_node(entry->seen, random);
    }
    d->folder->machine->used_bytes += (uint64_t)sim_usage(disk);
}

int sim_disk_damage(struct disk *disk, const char *name, uint64_t offset, uint8_t xor)
{
    struct entry *entry = find(sim(disk), name);

    if (entry == NULL || entry->seen == NULL || offset >= entry->seen->seen.size)
        return -ENOENT;
    entry->seen->seen.bytes[offset] ^= xor;
    if (offset < entry->seen->durable.size)
        entry->seen->durable.bytes[offset] ^= xor;
    return 0;
}

int64_t sim_disk_file_size(struct disk *disk, const char *name)
{
    struct entry *entry = find(sim(disk), name);

    return entry == NULL || entry->seen == NULL ? -ENOENT : (int64_t)entry->seen->seen.size;
}

unsigned sim_disk_files(struct disk *disk)
{
    struct folder *folder = sim(disk)->folder;
    unsigned count = 0;

    for (unsigned i = 0; i < folder->entry_count; i++)
        count += folder->entries[i].seen != NULL;
    return count;
}
