/*
 * The PBX: calls of organizations, and who of their people is there. What the parts share.
 */
#ifndef PBX_H
#define PBX_H

#include <stdbool.h>
#include <stdint.h>

#include "common/program.h"

/* The names under which the events of an organization are published; a client has one of them. */
#define CHANNEL_PUBLIC "presence.org." /* a public name, with a dot: what applications publish to */
#define CHANNEL_DOCUMENT                                                                           \
    "presence-presence.org."         /* what Echo.join("presence.org.7") subscribes to */
#define CHANNEL_OWN  "presence-org." /* of the pages here */
#define CHANNEL_USER "private-user."

#define SECRET_BYTES 129

struct pbx {
    struct program *program;
    struct simulation *simulation; /* NULL: calls come from the provider only */
    char webhook_secret[SECRET_BYTES];
    char
        app_secret[SECRET_BYTES]; /* of the app; only for what this program asks its own HTTP API */
    uint32_t token_s;             /* how long the token of a page is good */
    bool linked;                  /* with other servers, over Redis */
    uint64_t seconds;             /* since the start */
    int64_t said_second;
    unsigned said; /* in that second, by say_seldom() */
    /* Options. */
    const char *seed, *speed, *token_text, *lease_text, *redis, *laravel_redis, *trigger, *call_id,
        *organization;
    bool simulate, self_test, json;
};

static inline struct pbx *pbx_of(struct program *program)
{
    return program->own;
}

int64_t now_ms(void);

/* A line for the operator that strangers can cause: at most ten a second are said. */
__attribute__((format(printf, 2, 3))) void say_seldom(struct pbx *pbx, const char *format, ...);

#endif
