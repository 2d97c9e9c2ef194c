/*
 * sim_disk: a folder in memory behind shared/journal/disk.h that can do to a journal what disks do.
 *
 * Every file has two contents: what a process sees (the page cache) and what would be there after a
 * power cut; between them stand the unsynced changes in order. Names are the same: a creation, a
 * removal or a rename is certain only after sync_folder.
 *
 *   - A crash of the process (crash_at) stops the disk at the n-th operation, in the middle of it:
 *     every later call fails and changes nothing. sim_disk_reboot makes it usable again with the
 *     page cache as it was.
 *   - A power cut (sim_disk_power_cut) keeps any subset of the unsynced changes, writes torn at
 *     512-byte borders, and any subset of the unsynced names.
 *   - A failed sync (fail_at) loses unsynced writes for good while the page cache still shows them,
 *     and the next sync returns 0: as Linux does.
 *
 * All chance comes from the seed.
 */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H

#include "shared/journal/disk.h"

/* xorshift64*: the tests' only source of chance. */
struct sim_random {
    uint64_t state;
};
void sim_random_seed(struct sim_random *random, uint64_t seed);
uint64_t sim_random_next(struct sim_random *random);
/* 0 … below-1; 0 for 0. */
uint64_t sim_random_below(struct sim_random *random, uint64_t below);
/* True in `percent` of 100 cases. */
bool sim_random_chance(struct sim_random *random, unsigned percent);

/* The disk; one fault plan for all folders of a machine. */
struct sim_machine {
    struct sim_random *random;
    uint64_t operations; /* that change something or sync, so far */
    uint64_t crash_at;   /* the operation at which the process dies; 0: never */
    uint64_t fail_at;    /* the operation that fails with `fail_with`; 0: none */
    int fail_with;       /* positive errno */
    bool crashed;
    uint64_t full_bytes; /* more than this does not fit (all folders together); 0: no limit */
    uint64_t used_bytes;
};

/* A folder on the machine's disk. Freed by disk_free. */
struct disk *sim_disk_new(struct sim_machine *machine);

/* After a crash of the process: open files are gone, contents stay as the page cache has them. */
void sim_disk_reboot(struct disk *disk);
/* After a power cut: what was not synced is there, torn or gone. */
void sim_disk_power_cut(struct disk *disk);

/* Flips or cuts bytes, for tests of damage: the content is changed on "both" disks. */
int sim_disk_damage(struct disk *disk, const char *name, uint64_t offset, uint8_t xor);
int64_t sim_disk_file_size(struct disk *disk, const char *name);

#endif
