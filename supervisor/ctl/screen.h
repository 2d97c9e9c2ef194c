/*
 * screen: the status of sluiced for people, made from its JSON.
 */
#ifndef SUPERVISOR_CTL_SCREEN_H
#define SUPERVISOR_CTL_SCREEN_H

#include <stdio.h>

/* -EINVAL where the text is not the JSON of a status. */
int screen_print(const char *json, FILE *out);

#endif
