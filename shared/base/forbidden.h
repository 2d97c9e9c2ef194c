/*
 * forbidden: calls that nobody may use, because their use is an error waiting for its input. The
 * build includes this header before every source file (-include, see Makefile.am).
 *
 * The headers below name the calls themselves, so they come first; a poisoned name that appears
 * after the pragma is a compile error. Instead use: memcpy with a checked length, snprintf, struct
 * buf, strtoull with its end pointer, the heap.
 */
#ifndef SHARED_BASE_FORBIDDEN_H
#define SHARED_BASE_FORBIDDEN_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* A macro of glibc's; what is poisoned must not be one. */
#undef alloca

#pragma GCC poison strcpy strcat sprintf vsprintf strtok atoi atol atoll gets alloca

#endif
