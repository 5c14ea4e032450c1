/*
 * What is posted to the operator's URL, such as a service that sends it to phones: on another thread, tried once.
 */
#ifndef POST_H
#define POST_H

#include "monitor.h"

/* To --alert-url. A failure is said. */
void post_json(struct monitor *monitor, const cJSON *value);

#endif
