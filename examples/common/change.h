/*
 * Changes: written in one transaction, and told to open pages once they are written.
 *
 * A handler begins a change, says which channels hear of it, runs statements, says which events follow from them, and ends
 * it. A client that hears of the change can already read it, and no client hears of a change that was not written. An event
 * that cannot be published is counted and said, and the change stays: a page that misses one catches up when it next
 * connects.
 */
#ifndef COMMON_CHANGE_H
#define COMMON_CHANGE_H

#include <stdbool.h>

#include <pusherc/pusherc.h>

#include "common/store.h"

struct program;

#define CHANGE_CHANNELS      8
#define CHANGE_CHANNEL_BYTES 64

struct change {
    struct program *program;
    int64_t user_id;  /* 0: it goes by itself */
    int64_t about_id; /* for the example: of what is changed */
    int64_t revision; /* of what is changed; 0: it has none */
    bool failed;      /* set it, too: nothing more is run, and all of it will be undone */
    bool nothing; /* set it if all is as wanted already: nothing is written, and no page is told */
    bool ended;   /* by change_write(): `written` says how */
    bool written;
    pusherc_socket_id except; /* this page does not hear of it: it has done it. Zero: none */
    char channels[CHANGE_CHANNELS][CHANGE_CHANNEL_BYTES]; /* of the events that follow */
    size_t channel_count;
    cJSON *events; /* {"name", "channels", "data"}, to be published */
};

/* `request` NULL: it goes by itself. */
void change_begin(struct change *change, struct program *program, int64_t user_id,
                  const pusherc_http_request *request);
/* One more channel for the events that are told from now on: "organization.%d", for example. */
__attribute__((format(printf, 2, 3))) void change_to(struct change *change, const char *format,
                                                     ...);
/* None, so that others can be named. */
void change_to_none(struct change *change);
/* 0: no user, for a column that refers to one. */
struct store_value change_user(const struct change *change);
void change_run(struct change *change, const char *sql, const struct store_value *values,
                size_t count);
/* The id that the last INSERT has given. */
int64_t change_new_id(struct change *change);
/* Each row of a SELECT becomes an event on all channels: its columns are the payload, with "v", the event's own id, and
 * "revision" if there is one. */
void change_tell(struct change *change, const char *name, const char *sql,
                 const struct store_value *values, size_t count);
/* Write it now, for a request that is answered before pages are told: change_end() then only tells. 0 or -1 as there. */
int change_write(struct change *change);
/* 0: written, or there was nothing to write; or -1: it could not be written. */
int change_end(struct change *change);
/* The same for what an open page should show before its cause goes on: calls `then` with that, once the events are with
 * the server if the program publishes now (QUEUE_CONNECTION=sync), else at once. No failure of theirs is one of `then`. */
typedef void (*change_then_fn)(int status, void *user_data);
void change_end_then(struct change *change, change_then_fn then, void *user_data);

#endif
