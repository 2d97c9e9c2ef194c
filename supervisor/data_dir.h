/*
 * data_dir: the folders of the data directory, its lock, and what it lies on.
 *
 *     data_dir/lock          held by sluiced and, through inherited descriptors, by its stages
 *              lanes/NN/     a lane each, with a lock of its own
 *              cursors/  quarantine/  backup/
 *
 * A flock lives until the last descriptor of it is closed. So stages that outlive their sluiced
 * hold it on, and the next sluiced waits for them: two writers never share a lane.
 */
#ifndef SUPERVISOR_DATA_DIR_H
#define SUPERVISOR_DATA_DIR_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/base/err.h"
#include "shared/options/options.h"
#include "supervisor/spawn.h"

#define DATA_DIR_LANES_MAX 100u /* lanes/00 … lanes/99 */

/*
 * Makes data_dir and what is missing in it, and the folder of file.path; those it makes and the
 * standard ones belong to the stages' user. Returns 0 or -errno, naming the option.
 */
int data_dir_make(const struct options *options, const struct spawn_identity *identity,
                  struct err *err);

/* Makes lanes/NN. */
int data_dir_make_lane(const struct options *options, const struct spawn_identity *identity,
                       unsigned lane, struct err *err);

/* Sets exists[n] for every folder lanes/NN that there is. */
int data_dir_find_lanes(const struct options *options, bool exists[DATA_DIR_LANES_MAX],
                        struct err *err);

/*
 * Opens a lock file below data_dir ("lock", "lanes/00/lock"). Then data_dir_try_lock as often as
 * needed: 0, or -EAGAIN where another process holds it.
 */
int data_dir_open_lock(const struct options *options, const char *name, int *ret_fd,
                       struct err *err);
int data_dir_try_lock(int fd);

/* Which processes have that file open, as text "12, 14"; "" where it cannot be told. */
const char *data_dir_holders(int fd, char *text, size_t size);

/* What is wrong with the place: "data_dir is on a tmpfs: …", or NULL. */
const char *data_dir_alert(const struct options *options);

#endif
