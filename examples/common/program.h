/*
 * One program that serves pages, a JSON API and the WebSocket on one port, with its data in SQLite: what all of these
 * have in common. An example says what it is in a `struct program_spec`; README.md shows a whole one.
 *
 * The server is attached to the program's own libuv loop. So every callback runs on the main thread: the database needs
 * no lock, and the program's timers and signals live beside the server's. What takes long (password hashes) runs on
 * libuv's thread pool and answers its request later.
 */
#ifndef COMMON_PROGRAM_H
#define COMMON_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>
#include <pusherc/pusherc.h>

#include "common/accounts.h"
#include "common/assets.h"
#include "common/attempts.h"
#include "common/http.h"
#include "common/login.h"
#include "common/options.h"
#include "common/store.h"

/* What an example is. Members that are NULL or 0 are not used. */
struct program_spec {
    const char *id;      /* of its app, unless the environment names another */
    const char *cookies; /* what the names of its cookies begin with */
    const char *summary; /* one line of --help */
    uint16_t port;       /* unless --port says another */
    struct store_schema schema;
    const struct script_source *scripts; /* of npm, up to one without a name */
    const struct program_option *options;
    const char *usage;          /* of those, for --help */
    int payload_version;        /* "v" of its events */
    const char *event_id_name;  /* the member of events that tells one from another; default "id" */
    const char *login_names[2]; /* fields of the sign-in form that say where one wanted to go */
    bool tokens;                /* programs and pages may sign in by a token, too */
    uint32_t max_queued;        /* events that wait for a server elsewhere; default the library's */
    const char
        *conflate; /* of those, which a newer one replaces: docs/broadcasting.md, "conflation" */

    /* True if the program was started to add something to its database, and not to serve; and what does it: 0 or -1. */
    bool (*sets_up)(struct program *program);
    int (*set_up)(struct program *program);
    /* Before the server is made: what differs from other programs. */
    void (*configure)(struct program *program, pusherc_server_options *server, pusherc_hooks *hooks,
                      pusherc_app_options *app);
    /* Before the server starts: rules and hooks. 0, or an error of the library. */
    int (*prepare)(struct program *program, pusherc_errinfo *info);
    /* The server has started: what runs beside it on the loop; and it has stopped: close that. */
    void (*begin)(struct program *program);
    void (*end)(struct program *program);
    /* True if the request was one for the example, and is answered or will be. */
    bool (*on_http)(struct program *program, pusherc_http_request *request);
    void (*each_second)(struct program *program);
    void (*on_denied)(struct program *program, const pusherc_denial *denial);
    void (*greet)(struct program *program); /* on standard output, after "listening on" */

    /* Where a user who has signed in is led; default "/". */
    void (*login_target)(char out[LOGIN_TARGET_BYTES], struct program *program, int64_t user_id,
                         const struct login_wanted *wanted);
    /* Values for pages/login.html: "hint", and "users" of a demo. */
    void (*login_fill)(struct program *program, cJSON *values, const struct login_wanted *wanted);
    /* More for /api/v1/websocket/health. */
    void (*describe_health)(struct program *program, cJSON *health);
    /* What a token's user is told about himself, beside id and name. */
    void (*describe_user)(struct program *program, cJSON *user);
};

struct program {
    const struct program_spec *spec;
    const struct options *options;
    void *own; /* the example's */
    pusherc_server *server;
    pusherc_broadcaster *broadcaster; /* NULL once the program ends */
    pusherc_outbox *outbox;           /* NULL: events do not wait in the database */
    struct uv_loop_s *loop;
    struct store *store;
    struct scripts *scripts;
    char app_id[64];
    char app_key[64];  /* public; the secret is the server's and the publisher's */
    char driver[32];   /* what carries events, as BROADCAST_CONNECTION says it */
    uint16_t port;     /* as listened on */
    bool tls;          /* as listened on; a proxy in front may speak it, too */
    bool kept;         /* the database is a file */
    bool now;          /* QUEUE_CONNECTION=sync */
    bool json;         /* set it, and the self-test prints JSON */
    bool ending;       /* a signal has asked for it: nothing is published any more */
    bool muted;        /* set it, and what is published is lost: to show what happens then */
    bool trace;        /* BROADCAST_DEBUG: tell each publish and each decision on standard error */
    bool write_failed; /* the last one; health.c asks whether it would work now */
    bool publish_failed;   /* the last one, and none has been accepted since */
    uint64_t accepted;     /* events, when the last one failed */
    uint64_t last_event;   /* its number, part of its id */
    size_t logins_waiting; /* passwords being checked on other threads */
    struct attempts attempts;
    char start_id
        [17]; /* part of ETags and of the ids of events: no other run of the program has it */
};

/* main(): returns its status. `own` becomes program->own. */
int program_main(int argc, char **argv, const struct program_spec *spec, void *own);

/* False while events do not reach the server. */
bool program_publishes(struct program *program);

#endif
