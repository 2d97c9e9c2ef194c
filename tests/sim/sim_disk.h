/*
 * sim_disk: a folder in memory behind shared/journal/disk.h that can do to a journal what disks do.
 *
 * Every file has two contents: what a process sees (the page cache) and what would be there after a
 * power cut; between them stand the unsynced changes in order. Names are the same: a creation, a
 * removal or a rename is certain only after sync_folder.
 *
 *   - A crash of a process (crash_at) stops its disks at the n-th operation, in the middle of it:
 *     every later call fails and changes nothing. sim_disk_reboot makes them usable again with the
 *     page cache as it was.
 *   - A power cut (sim_disk_power_cut) keeps any subset of the unsynced changes, writes torn at
 *     512-byte borders, and any subset of the unsynced names.
 *   - A failed sync (fail_at) loses unsynced writes for good while the page cache still shows them,
 *     and the next sync returns 0: as Linux does.
 *
 *     sim_machine ── faults of the hardware            sim_process ── dies at its n-th operation
 *        └─ folder ── files, names                         └─ sim_disk ── its open files
 *                                  └── a struct disk per process that has the folder open ──┘
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

/* A process that uses disks. Operations are those that change something or sync. */
struct sim_process {
    uint64_t operations;
    uint64_t crash_at; /* the operation at which it dies; 0: never */
    bool crashed;
};

/* The hardware; one fault plan for all folders of a machine. */
struct sim_machine {
    struct sim_random *random;
    struct sim_process process; /* of the disks that sim_disk_new gives */
    uint64_t operations;        /* of all processes, so far */
    uint64_t fail_at;           /* the first operation that fails with `fail_with`; 0: none */
    uint64_t fail_count;        /* how many fail from there on; 0 is 1 */
    unsigned fail_per_mille;    /* and so many others, by chance */
    int fail_with;              /* positive errno */
    bool lies;                  /* a sync returns 0 and makes nothing durable */
    uint64_t full_bytes; /* more than this does not fit (all folders together); 0: no limit */
    uint64_t used_bytes;
    uint64_t syncs;
};

/* A folder on the machine's disk, and the machine's own process's view of it. Freed by disk_free. */
struct disk *sim_disk_new(struct sim_machine *machine);
/* Another process's view of the same folder, which lives as long as one of its views. */
struct disk *sim_disk_view(struct disk *disk, struct sim_process *process);

/* After a crash of the process: its open files are gone, contents stay as the page cache has them. */
void sim_disk_reboot(struct disk *disk);
/* After a power cut: what was not synced is there, torn or gone. Open files of this view are gone;
 * all other views must be freed before. */
void sim_disk_power_cut(struct disk *disk);

/* Flips bits, for tests of damage: the content is changed on "both" disks. 0 or -ENOENT. */
int sim_disk_damage(struct disk *disk, const char *name, uint64_t offset, uint8_t xor);
/* -ENOENT: there is none. */
int64_t sim_disk_file_size(struct disk *disk, const char *name);
/* Files that are there now. */
unsigned sim_disk_files(struct disk *disk);

#endif
