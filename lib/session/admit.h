/*
 * May this WebSocket client come in, and to which app? The checks of protocol section 1.3 in their order;
 * the first that fails gives the close code. Everything but the host's own questions.
 */
#ifndef PC_SESSION_ADMIT_H
#define PC_SESSION_ADMIT_H

#include "codec/http.h"
#include "fanout/engine.h"
#include "session/identity.h"

/* What a client has taken up that may come in, until its session takes it over. */
struct pc_newcomer {
    struct pc_app *app;           /* counted, and connected */
    struct pc_count *of_address;  /* one of its address's connections; NULL = nobody counts them */
    struct pc_identity *identity; /* the host's answer; counted; NULL = anonymous */
    uint8_t protocol;             /* 4..7 */
};
/* Gives it back, on any thread, also after the server has gone; harmless without an app. */
void pc_newcomer_free(struct pc_newcomer *newcomer);

struct pc_admission {
    char key[256]; /* the app key asked for, decoded */
    size_t key_len;
    uint16_t code;    /* when refused */
    char reason[124]; /* NUL-terminated; fits a Close frame */
    struct pc_app
        *refused_by; /* counted (undo: pc_app_unref); NULL = it asked for none that there is */
    struct pc_newcomer newcomer; /* when admitted; its protocol from the request on */
};

enum pc_admit_result {
    PC_ADMIT_OK,
    PC_ADMIT_REFUSED,
    /* nobody has put this key: ask the host, or refuse with what `code` and `reason` say */
    PC_ADMIT_UNKNOWN_APP
};

/* The request alone: draining, path, protocol version. Fills protocol and key. Never UNKNOWN_APP. */
enum pc_admit_result pc_admit_request(struct pc_engine *engine,
                                      const struct pc_http_message *request,
                                      struct pc_admission *out);
/* Then the app: key, enabled, TLS, origin, quotas, capacity. `address` is what counts as one client, of 8 bytes at
 * most; len 0 = unknown. */
enum pc_admit_result pc_admit_app(struct pc_engine *engine, const struct pc_http_message *request,
                                  bool tls, pusherc_slice address, struct pc_admission *out);

/* Counts a client that was turned away with this code; app NULL = it named none that there is. */
void pc_admit_count_error(struct pc_engine *engine, const struct pc_app *app, uint16_t code);

/* Whether this is where WebSockets are opened, "/app/..." below the prefix: never the host's page. */
bool pc_admit_path(const struct pc_engine *engine, pusherc_slice path);

/* `path` without the configured prefix; false if it is not below it. */
bool pc_strip_prefix(const struct pc_engine *engine, pusherc_slice path, pusherc_slice *out);

#endif
