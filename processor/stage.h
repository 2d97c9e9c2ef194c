/*
 * stage: the processor as a role: its descriptors, folders and options made into a lane, and the
 * lane put on the event loop.
 */
#ifndef PROCESSOR_STAGE_H
#define PROCESSOR_STAGE_H

#include "shared/role/role.h"

extern const struct role processor_role;

#endif
