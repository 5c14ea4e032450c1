/*
 * Connections that have ended lately: a client that has connected again often still sends what was signed for its last
 * connection. Kept only while the log has level "debug". When all places are taken, the app that holds most loses its
 * oldest. Any thread.
 */
#ifndef PC_WHY_ENDED_H
#define PC_WHY_ENDED_H

#include <pthread.h>
#include <stddef.h>

#include <pusherc/types.h>

#include "base/log.h"

#define PC_WHY_MAX_ENDED 64

struct pc_why_ended {
    pthread_mutex_t mutex; /* a leaf */
    size_t count;
    struct pc_why_ended_item {
        pusherc_socket_id id;
        const void *app;       /* only compared */
    } items[PC_WHY_MAX_ENDED]; /* the oldest first */
};

#ifdef PC_WITH_EXPLAIN

void pc_why_ended_init(struct pc_why_ended *ended);
void pc_why_ended_free(struct pc_why_ended *ended);
void pc_why_note_ended(struct pc_why_ended *ended, const struct pc_log *log, const void *app,
                       pusherc_socket_id id);
/* Those of the app, the latest first; returns how many, at most `max`. */
size_t pc_why_ended_of(struct pc_why_ended *ended, const void *app, pusherc_socket_id *ids,
                       size_t max);

#else

static inline void pc_why_ended_init(struct pc_why_ended *ended)
{
    (void)ended;
}

static inline void pc_why_ended_free(struct pc_why_ended *ended)
{
    (void)ended;
}

static inline void pc_why_note_ended(struct pc_why_ended *ended, const struct pc_log *log,
                                     const void *app, pusherc_socket_id id)
{
    (void)ended, (void)log, (void)app, (void)id;
}

static inline size_t pc_why_ended_of(struct pc_why_ended *ended, const void *app,
                                     pusherc_socket_id *ids, size_t max)
{
    (void)ended, (void)app, (void)ids, (void)max;
    return 0;
}

#endif

#endif
