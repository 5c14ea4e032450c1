/*
 * A client of a server of the Pusher protocol, as `pusherc doctor`, `listen`, `channels`, `members` and `bench` need
 * one: signed requests to the HTTP API, and one connection with its messages.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <cjson/cJSON.h>

#include "ws_client.h"

/* Where the server is, looked up. */
struct cli_link {
    struct cli_target target;
    struct cli_wire_addresses api, ws;
    struct cli_wire_tls *tls; /* owned; NULL = neither address has TLS */
    int64_t timeout_us;       /* of one step */
};

/*
 * Look the addresses of link->target up, put those that take a connection first, and make ready for TLS.
 * link->timeout_us is to be set before.
 *
 * ca_file   as for cli_wire_tls_new()
 * insecure  accept each certificate
 * address   "HOST:PORT" to connect to in place of the target's; NULL = none
 *
 * Returns 0, or -1 with `error`. Free the link in either case.
 */
int cli_link_open(struct cli_link *link, const char *ca_file, bool insecure, const char *address,
                  struct cli_error *error);
void cli_link_free(struct cli_link *link);

/* -- the HTTP API -- */

/* Send `request` to the API's address, whichever of its addresses takes the connection. As cli_http_ask(). */
int cli_link_ask(const struct cli_link *link, const struct cli_http_request *request,
                 struct cli_http_answer *answer, struct cli_error *error);

/*
 * Ask the API, signed.
 *
 * what    behind /apps/ID, such as "/channels"
 * params  param_count of them
 * body    NULL = none
 *
 * Returns 0, or -1 with `error`; an answer of any status is a success. Free the answer in either case.
 */
int cli_link_api(const struct cli_link *link, const char *method, const char *what,
                 const pusherc_http_param *params, size_t param_count, const char *body,
                 struct cli_http_answer *answer, struct cli_error *error);

/* The same, signed for the path `signed_path` at a time: what a proxy or a clock may have changed. NULL: the path that
 * is asked for. */
int cli_link_api_as(const struct cli_link *link, const char *method, const char *path,
                    const char *signed_path, uint64_t unix_time_s, const pusherc_http_param *params,
                    size_t param_count, const char *body, struct cli_http_answer *answer,
                    struct cli_error *error);

/* "/prefix/apps/ID" and what follows it, percent-encoded. */
#define CLI_PATH_TEXT 2048
void cli_api_path(const struct cli_target *target, const char *what, char out[CLI_PATH_TEXT]);
/* "/prefix/app/KEY" and the usual query. */
void cli_ws_path(const struct cli_target *target, char out[CLI_PATH_TEXT]);
/* Write text percent-encoded into a path; cut to fit. */
void cli_put_percent(char *out, size_t cap, const char *text);

/* -- a connection -- */

struct cli_message {
    struct cli_message *next;
    cJSON *json;                        /* owned */
    const char *event, *channel, *data; /* borrowed from `json`; "" = none */
    int64_t came_us;
};

/* Must not be moved. */
struct cli_client {
    struct cli_ws ws;
    char socket_id[64];
    int64_t established_us;
    int error_code; /* of the last pusher:error; 0 = none */
    char error_text[200];
    struct cli_message *first, **last; /* not taken yet; owned */
};

/* Begin to connect. `query` stands behind "protocol=7", NULL = the usual one; fields as for cli_ws_connect(). */
void cli_client_connect(struct cli_client *client, const struct cli_link *link, const char *fields);
void cli_client_close(struct cli_client *client);
/* Wait until the connection is established. Returns 0, or -1: then client->ws and error_code tell why. */
int cli_client_establish(struct cli_client *client, int64_t deadline_us);
/* Wait for a message, answering pings. NULL: the deadline has passed, or the connection is closed. Free it. */
struct cli_message *cli_client_next(struct cli_client *client, int64_t deadline_us);
void cli_message_free(struct cli_message *message);

/* Subscribe: signed, if the channel needs it. channel_data NULL = none. Returns 0, or -1 with `error`. */
int cli_client_subscribe(struct cli_client *client, const struct cli_link *link,
                         const char *channel, const char *channel_data, struct cli_error *error);

/* Make the message of a subscription. The text is owned by the caller (cJSON_free()); NULL: `error` says why. */
char *cli_subscribe_text(const struct cli_link *link, const char *socket_id, const char *channel,
                         const char *channel_data, struct cli_error *error);

/* The sentence for the user: why the connection is closed. */
void cli_client_why(const struct cli_client *client, struct cli_error *error);

bool cli_channel_is_guarded(const char *channel);
bool cli_channel_is_presence(const char *channel);

#endif
