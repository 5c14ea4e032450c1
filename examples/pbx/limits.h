/*
 * What the environment sets beside common/publish.h: limits of the app, and Redis. The names are those that pusherc serve
 * knows (docs/configuration.md), and those that applications have written where they meant soketi's.
 */
#ifndef PBX_LIMITS_H
#define PBX_LIMITS_H

#include "pbx.h"

/* Into the app's options; a wrong value, and a name that is like a known one and is none, are said on standard error. */
void limits_read(struct program *program, pusherc_app_options *app);
/* Link the server with others, and let it hear Laravel's events, if options or environment say so. 0, or an error of the
 * library. */
int limits_use_redis(struct program *program, pusherc_errinfo *info);

#endif
