#include "shared/ipc/status_page.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/clock.h"
#include "shared/base/fd.h"

#define STATUS_MAGIC 0x3153555441545353ull
#define STATUS_VERSION 1u
#define STATUS_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* A newer stage under an older sluiced, or the other way round, must not count into wrong words. */
struct status_header {
    uint64_t magic;
    uint32_t version;
    uint32_t slots;
    uint32_t words;
    uint32_t metrics;
    uint64_t table; /* table_hash() */
    uint8_t pad[32];
};

struct status_page {
    struct status_header header;
    struct status_slot slots[STATUS_SLOTS];
};

static_assert(sizeof(struct status_header) == 64, "slots stay aligned");
static_assert(METRIC_COUNT <= STATUS_WORDS, "raise STATUS_WORDS");

/* Of the metrics in their order (FNV-1a): another order with the same count is another table. */
static uint64_t table_hash(void)
{
    static const char ids[] =
#define METRIC(ID, letter, metric_name, KIND, metric_help) #ID "," #letter "," #KIND ";"
#include "shared/ipc/metrics.def"
#undef METRIC
        ;
    uint64_t hash = 0xcbf29ce484222325ull;

    for (size_t i = 0; i < sizeof(ids) - 1; i++)
        hash = (hash ^ (uint8_t)ids[i]) * 0x100000001b3ull;
    return hash;
}

int status_page_create(int *ret_fd, struct err *err)
{
    struct status_header header = {.magic = STATUS_MAGIC,
                                   .version = STATUS_VERSION,
                                   .slots = STATUS_SLOTS,
                                   .words = STATUS_WORDS,
                                   .metrics = METRIC_COUNT,
                                   .table = table_hash()};
    int fd = memfd_create("sluice-status", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0)
        return err_errno(err, errno, "status page: memfd_create");
    if (ftruncate(fd, sizeof(struct status_page)) < 0) {
        r = err_errno(err, errno, "status page: ftruncate");
        goto fail;
    }
    r = fd_pwrite_full(fd, &header, sizeof(header), 0);
    if (r < 0) {
        err_errno(err, -r, "status page: write");
        goto fail;
    }
    if (fcntl(fd, F_ADD_SEALS, STATUS_SEALS) < 0) {
        r = err_errno(err, errno, "status page: seal");
        goto fail;
    }
    *ret_fd = fd;
    return 0;
fail:
    fd_close(&fd);
    return r;
}

int status_page_open(int fd, struct status_page **ret_page, struct err *err)
{
    struct status_page *page;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "status page: fstat");
    if (st.st_size != (off_t)sizeof(struct status_page))
        return err_set(err, EPROTO, "status page: %lld bytes instead of %zu: another version",
                       (long long)st.st_size, sizeof(struct status_page));
    /* Without the seals the other side could cut it and kill this process with SIGBUS. */
    if ((fcntl(fd, F_GET_SEALS) & STATUS_SEALS) != STATUS_SEALS)
        return err_set(err, EPROTO, "status page: not sealed");
    page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return err_errno(err, errno, "status page: mmap");
    if (page->header.magic != STATUS_MAGIC || page->header.version != STATUS_VERSION ||
        page->header.slots != STATUS_SLOTS || page->header.words != STATUS_WORDS ||
        page->header.metrics != METRIC_COUNT || page->header.table != table_hash()) {
        munmap(page, sizeof(*page));
        return err_set(err, EPROTO, "status page: of another version of Sluice; restart sluiced");
    }
    *ret_page = page;
    return 0;
}

void status_page_close(struct status_page **page)
{
    if (*page == NULL)
        return;
    munmap(*page, sizeof(**page));
    *page = NULL;
}

struct status_slot *status_page_slot(struct status_page *page, unsigned index)
{
    assert(index < STATUS_SLOTS);
    return &page->slots[index];
}

void status_phase(struct status_slot *slot, enum status_phase phase)
{
    __atomic_store_n(&slot->phase_since_ns, clock_monotonic_ns(), __ATOMIC_RELAXED);
    __atomic_store_n(&slot->phase, (uint64_t)phase, __ATOMIC_RELAXED);
    status_alive(slot);
}

void status_note(struct status_slot *slot, const char *text)
{
    /* A reader may see half of it: it bounds what it reads, and a note is only shown. */
    snprintf(slot->note, sizeof(slot->note), "%s", text);
}

static const struct metric_row rows[METRIC_COUNT] = {
#define METRIC_KIND_COUNTER "counter"
#define METRIC_KIND_GAUGE "gauge"
#define METRIC(ID, letter, metric_name, KIND, metric_help) \
    [METRIC_##ID] = {.name = metric_name,                  \
                     .kind = METRIC_KIND_##KIND,           \
                     .help = metric_help,                  \
                     .stage = #letter[0]},
#include "shared/ipc/metrics.def"
#undef METRIC
};

const struct metric_row *metric_row(enum metric_id id)
{
    assert((unsigned)id < METRIC_COUNT);
    return &rows[id];
}
