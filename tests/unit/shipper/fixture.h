/*
 * fixture: a data directory with real lanes that the tests of the shipper fill themselves, and an
 * event loop that runs until something is so.
 *
 * Each record's body is its serial number, "r-000042"; serials count up through all lanes.
 */
#ifndef TESTS_UNIT_SHIPPER_FIXTURE_H
#define TESTS_UNIT_SHIPPER_FIXTURE_H

#include "shipper/output.h"

#define FIXTURE_LANES 2u
#define FIXTURE_RECORDS 20000u
#define FIXTURE_KEY "auth_secret"

struct fixture;

/* Everything empty. Options have short retry times. */
struct fixture *fixture_new(void);
void fixture_free(struct fixture *fixture);

const char *fixture_folder(const struct fixture *fixture); /* data_dir */
struct options *fixture_options(struct fixture *fixture);
void fixture_set(struct fixture *fixture, enum option_id id, const char *value);
sd_event *fixture_event(struct fixture *fixture);
struct status_slot *fixture_status(struct fixture *fixture);
const struct source_lane *fixture_lanes(struct fixture *fixture);

/* Commits one batch of `frames` frames with `records` records each to the lane. */
void fixture_commit(struct fixture *fixture, unsigned lane, unsigned frames, unsigned records);
/* Commits a batch of one frame with these plain bytes, which are called one record. */
void fixture_commit_plain(struct fixture *fixture, unsigned lane, struct slice plain);
/* What is committed from now on has this codec. */
void fixture_set_codec(struct fixture *fixture, unsigned codec);
/* How many records were committed: serials are below it. */
unsigned fixture_committed(const struct fixture *fixture);
/* The sequence that the lane's next batch gets. */
uint64_t fixture_next_sequence(const struct fixture *fixture, unsigned lane);

/* Opens and starts an output on the fixture's loop. */
struct output *fixture_open(struct fixture *fixture, const struct output_ops *ops);
/* Runs the loop until `is_so` (at most 20 s, then the test fails), pumping the output. */
void fixture_run(struct fixture *fixture, struct output *output, bool (*is_so)(void *context),
                 void *context);
/* Runs it until the output has delivered all there is. */
void fixture_run_idle(struct fixture *fixture, struct output *output);

/* Finds serials in bytes and counts each into counts[FIXTURE_RECORDS]. */
void fixture_count(struct slice bytes, unsigned *counts);

#endif
