/*
 * A client's WebSocket: the connection, the upgrade, and messages by wslay. As with the wire below it, nothing but the
 * functions with a deadline waits.
 */
#ifndef CLI_WS_CLIENT_H
#define CLI_WS_CLIENT_H

#include "http_answer.h"

#define CLI_WS_MAX_MESSAGE (16u * 1024 * 1024)

enum cli_ws_state {
    CLI_WS_CONNECTING, /* the wire is not open yet */
    CLI_WS_UPGRADING,
    CLI_WS_OPEN,
    CLI_WS_CLOSED /* by the peer's Close, or by a failure */
};

/* Must not be moved. */
struct cli_ws {
    struct cli_wire wire;
    enum cli_ws_state state;
    struct cli_http_answer answer; /* to the upgrade; kept if it was not 101 */
    bool wrong_accept;             /* 101, but not as an answer to this request */
    uint16_t close_code;           /* of the peer's Close; 0 = none came */
    char close_reason[124];
    struct cli_error error; /* why it was closed; empty after a Close */

    /* Called for each text message, which is not NUL-terminated. */
    void (*on_text)(void *user, const char *text, size_t len);
    void *user;

    /* inside */
    void *context; /* wslay's; owned */
    struct cli_http_parser *parser;
    char *request; /* owned: what is to be written */
    size_t request_len, request_sent;
    char accept[32];
    char early[2048]; /* what came behind the head of the answer */
    size_t early_len, early_read;
    bool broken; /* the connection has failed or ended */
};

/*
 * Begin to connect and to upgrade. `on_text` and `user` are to be set before.
 *
 * to, index  where to connect
 * tls        NULL: without
 * target     "/app/KEY?protocol=7..."
 * fields     further header lines, each ended by CRLF; NULL = none
 */
void cli_ws_connect(struct cli_ws *ws, const struct cli_wire_addresses *to, size_t index,
                    struct cli_wire_tls *tls, const struct cli_address *address, const char *target,
                    const char *fields);
void cli_ws_close(struct cli_ws *ws); /* without a word to the peer; after it nothing is owned */

/* Go on as far as that is possible without waiting; `on_text` is called from here. */
void cli_ws_step(struct cli_ws *ws);
/* What has to be awaited before the next step: POLLIN, POLLOUT or both. */
short cli_ws_wants(const struct cli_ws *ws);
/* Queue a text, which is copied. Returns 0, or -1 with ws->error. */
int cli_ws_send(struct cli_ws *ws, const char *text, size_t len);
/* Wait for something to happen, and take a step. False: the deadline has passed. */
bool cli_ws_wait(struct cli_ws *ws, int64_t deadline_us);

#endif
