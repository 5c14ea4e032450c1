/*
 * Where a server is, and what is needed to talk to it: read from a URL, from an .env file, or from the environment.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include <pusherc/broadcast.h>
#include <pusherc/sign.h>

#include "text.h"

/* One address: of the HTTP API, or of the WebSocket. */
struct cli_address {
    bool tls;
    char host[256]; /* without the brackets of IPv6 */
    uint16_t port;
    char prefix[256]; /* "" or "/a/b": what stands before /app and /apps */
};

/* "" = not known. */
struct cli_target {
    struct cli_address api, ws;
    char id[201], key[201], secret[257];
};

/*
 * Read one of
 *     pusher://KEY:SECRET@HOST:PORT/APP-ID?scheme=http
 *     http[s]://[KEY:SECRET@]HOST[:PORT][/PREFIX][/apps/APP-ID]
 *     ws[s]://HOST[:PORT][/PREFIX][/app/KEY]
 * Returns 0, or -1 with `error`, which holds no secret.
 */
int cli_target_parse(struct cli_target *target, const char *text, struct cli_error *error);

/* Find the server in an environment, as pusherc_broadcast_url() does. Returns 1, 0 if the environment names none, or -1
 * with `error`. */
int cli_target_look_up(struct cli_target *target, pusherc_lookup_fn lookup, void *user_data,
                       struct cli_error *error);

/* Read ID:KEY:SECRET. Returns 0, or -1 with `error`. */
int cli_target_set_app(struct cli_target *target, const char *text, struct cli_error *error);

/* Set the address of the WebSocket from ws[s]://HOST[:PORT][/PREFIX]. Returns 0, or -1 with `error`. */
int cli_target_set_ws(struct cli_target *target, const char *text, struct cli_error *error);

/*
 * Find the server of a command: in `url`, or in the environment, or this machine's default. What the URL lacks comes
 * from `app`, or else from the environment. Returns 0, or -1 with `error`.
 *
 * url, app  NULL = not given
 */
int cli_target_find(struct cli_target *target, const char *url, const char *app,
                    struct cli_error *error);

/* The app's parts for the functions of pusherc/sign.h; borrowed. */
pusherc_credentials cli_target_credentials(const struct cli_target *target);

/* Write "https://host:port/prefix", with ws for http if `ws`. */
#define CLI_ADDRESS_TEXT 640
void cli_address_print(const struct cli_address *address, bool ws, char out[CLI_ADDRESS_TEXT]);

#endif
