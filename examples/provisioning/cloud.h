/*
 * What the program has beside the database: program->own.
 */
#ifndef PROVISIONING_CLOUD_H
#define PROVISIONING_CLOUD_H

#include <uv.h>

#include "events.h"
#include "machine.h"

struct cloud {
    struct factory factory;
    struct audience audiences[EVENT_KINDS];
    bool self_test;
    uv_timer_t clock;
    unsigned ticks;
};

static inline struct cloud *cloud_of(struct program *program)
{
    return program->own;
}

#endif
