#include "shared/ipc/lane_page.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define LANE_PAGE_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Far more looks than any schedule of the writer can spoil. */
#define LANE_PAGE_TRIES 1000000

struct lane_page_map {
    struct lane_page_header header;
    struct lane_page_slot slots[2];
};

struct lane_page {
    struct lane_page_map *map;
    uint32_t lane;
};

static_assert(sizeof(struct lane_page_map) <= LANE_PAGE_BYTES, "one page");

/* FNV-1a over 64-bit words: against torn reads of shared memory, not against a disk. */
static uint64_t checksum(const struct lane_page_slot *slot)
{
    uint64_t words[offsetof(struct lane_page_slot, checksum) / sizeof(uint64_t)];
    uint64_t sum = 0xcbf29ce484222325ull;

    memcpy(words, slot, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        sum = (sum ^ words[i]) * 0x100000001b3ull;
    return sum;
}

int lane_page_create(uint32_t lane, int *ret_fd, int *ret_readonly_fd, struct err *err)
{
    struct lane_page_header header = {
        .magic = LANE_PAGE_MAGIC, .version = LANE_PAGE_VERSION, .lane = lane};
    int fd = memfd_create("sluice-lane-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    char path[64];
    int readonly, r;

    if (fd < 0)
        return err_errno(err, errno, "cannot make a lane page");
    if (ftruncate(fd, LANE_PAGE_BYTES) < 0 ||
        pwrite(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
        fcntl(fd, F_ADD_SEALS, LANE_PAGE_SEALS) < 0) {
        r = err_errno(err, errno, "cannot prepare a lane page");
        close(fd);
        return r;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    readonly = open(path, O_RDONLY | O_CLOEXEC);
    if (readonly < 0) {
        r = err_errno(err, errno, "cannot open a lane page read-only");
        close(fd);
        return r;
    }
    *ret_fd = fd;
    *ret_readonly_fd = readonly;
    return 0;
}

int lane_page_open(int fd, bool writable, struct lane_page **ret_page, struct err *err)
{
    struct lane_page *page;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, "cannot look at a lane page");
    if (st.st_size != LANE_PAGE_BYTES)
        return err_set(err, EPROTO, "a lane page has a wrong size");
    page = calloc(1, sizeof(*page));
    if (page == NULL)
        return err_errno(err, ENOMEM, "cannot open a lane page");
    page->map = mmap(NULL, LANE_PAGE_BYTES, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                     MAP_SHARED, fd, 0);
    if (page->map == MAP_FAILED) {
        free(page);
        return err_errno(err, errno, "cannot map a lane page");
    }
    if (page->map->header.magic != LANE_PAGE_MAGIC ||
        page->map->header.version != LANE_PAGE_VERSION) {
        lane_page_close(&page);
        return err_set(err, EPROTO, "no lane page of version %u", LANE_PAGE_VERSION);
    }
    page->lane = page->map->header.lane;
    *ret_page = page;
    return 0;
}

void lane_page_close(struct lane_page **page)
{
    if (*page == NULL)
        return;
    munmap((*page)->map, LANE_PAGE_BYTES);
    free(*page);
    *page = NULL;
}

uint32_t lane_page_lane(const struct lane_page *page)
{
    return page->lane;
}

/* Copies a slot and says whether the copy is whole. */
static bool read_slot(const struct lane_page *page, int index, struct lane_page_slot *ret_slot)
{
    const struct lane_page_slot *slot = &page->map->slots[index];

    ret_slot->generation = __atomic_load_n(&slot->generation, __ATOMIC_ACQUIRE);
    memcpy(ret_slot, slot, sizeof(*ret_slot));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return ret_slot->generation != 0 && ret_slot->checksum == checksum(ret_slot);
}

static int newest(const struct lane_page *page, struct lane_page_slot *ret_slot)
{
    struct lane_page_slot slots[2];
    bool valid[2];
    int best;

    for (int i = 0; i < 2; i++)
        valid[i] = read_slot(page, i, &slots[i]);
    if (!valid[0] && !valid[1])
        return -1;
    if (valid[0] && valid[1])
        best = slots[1].generation > slots[0].generation;
    else
        best = valid[1];
    *ret_slot = slots[best];
    return best;
}

bool lane_page_read(const struct lane_page *page, struct lane_state *ret_state)
{
    struct lane_page_slot slot;

    /*
     * The writer overwrites the older slot only, so one of both is whole at any instant; between
     * our two copies it may have gone on by two publications, then we look again.
     */
    for (int tries = 0; newest(page, &slot) < 0; tries++) {
        if (page->map->slots[0].generation == 0 && page->map->slots[1].generation == 0)
            return false;
        if (tries == LANE_PAGE_TRIES)
            return false; /* its memory is damaged: as if never published */
    }
    *ret_state = (struct lane_state){
        .segment = slot.segment,
        .end = slot.end,
        .next_sequence = slot.next_sequence,
        .records = slot.records,
    };
    memcpy(ret_state->ring_identity, slot.ring_identity, sizeof(slot.ring_identity));
    memcpy(ret_state->consumer, slot.consumer, sizeof(slot.consumer));
    memcpy(ret_state->replies, slot.replies, sizeof(slot.replies));
    return true;
}

void lane_page_publish(struct lane_page *page, const struct lane_state *state)
{
    struct lane_page_slot present, slot = {
                                       .segment = state->segment,
                                       .end = state->end,
                                       .next_sequence = state->next_sequence,
                                       .records = state->records,
                                   };
    int best = newest(page, &present);
    struct lane_page_slot *target = &page->map->slots[best == 0 ? 1 : 0];

    slot.generation = best < 0 ? 1 : present.generation + 1;
    memcpy(slot.ring_identity, state->ring_identity, sizeof(slot.ring_identity));
    memcpy(slot.consumer, state->consumer, sizeof(slot.consumer));
    memcpy(slot.replies, state->replies, sizeof(slot.replies));
    slot.checksum = checksum(&slot);
    memcpy(target, &slot, sizeof(slot));
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
