/*
 * What the program does in place of serving: --trigger publishes an event of a test call, --self-test checks a server.
 */
#ifndef PBX_TOOLS_H
#define PBX_TOOLS_H

#include "pbx.h"

/* Hooks: program_spec.sets_up and set_up. */
bool tools_wanted(struct program *program);
int tools_run(struct program *program);

#endif
