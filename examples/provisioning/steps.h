/*
 * The ten steps of a server: how they move, wherever the word comes from. One change is one event, whatever follows from it.
 */
#ifndef PROVISIONING_STEPS_H
#define PROVISIONING_STEPS_H

#include "common/change.h"
#include "common/http.h"

#define STEPS 10

struct step_word {
    int step;           /* 1 to STEPS */
    const char *status; /* "installing", "completed", "failed" */
    const char *error;  /* of "failed": one line */
};

/* Why a step may not move; NULL if it may. What is so already changes nothing. */
typedef void (*steps_done_fn)(const char *refused, int status, void *user_data);

/* Move it, tell it, and call `done`: once the event is with the server if the program publishes now. */
void steps_move(struct program *program, int64_t server_id, const struct step_word *word,
                steps_done_fn done, void *user_data);

/* The failed step begins once more. 0, 1 if none has failed, or -1. */
int steps_retry(struct program *program, int64_t server_id, int64_t user_id,
                const pusherc_http_request *request);

/* Route: POST /servers/{id}/provision/step, by the machine that is set up */
void steps_callback(struct program *, pusherc_http_request *, const struct http_params *);
/* Route: POST /servers/{id}/provision/log, by the same */
void steps_log(struct program *, pusherc_http_request *, const struct http_params *);

#endif
