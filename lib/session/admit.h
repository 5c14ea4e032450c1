/*
 * Admission of a WebSocket client: the checks of protocol section 1.3 in their order. The first
 * that fails gives the close code. The host's own check (hook `identify`) is not here.
 */
#ifndef PC_SESSION_ADMIT_H
#define PC_SESSION_ADMIT_H

#include "base/address.h"
#include "codec/http.h"
#include "fanout/engine.h"
#include "session/identity.h"

/* The counted references of an admitted client, until its session takes them over. */
struct pc_newcomer {
    struct pc_app *app;           /* counted, and connected */
    struct pc_count *of_address;  /* its address's count of connections; NULL = not counted */
    struct pc_identity *identity; /* the host's answer; counted; NULL = anonymous */
    struct pc_address address;    /* of the client */
    uint8_t protocol;             /* 4..7 */
};
/* Gives them back, on any thread, also after the server has been freed; harmless without an app. */
void pc_newcomer_free(struct pc_newcomer *newcomer);

struct pc_admission {
    char key[256]; /* the app key asked for, decoded */
    size_t key_len;
    uint16_t code;               /* when refused */
    char reason[124];            /* NUL-terminated; fits a Close frame */
    struct pc_app *refused_by;   /* counted; NULL = no such app. Undo: pc_app_unref() */
    struct pc_newcomer newcomer; /* when admitted; `protocol` is set by pc_admit_request() */
};

enum pc_admit_result {
    PC_ADMIT_OK,
    PC_ADMIT_REFUSED,
    /* no app has this key: ask the host, or refuse with `code` and `reason` */
    PC_ADMIT_UNKNOWN_APP
};

/* Checks the request alone: draining, key, protocol version. Fills protocol and key. `key` is as in the path, encoded;
 * len 0 = the path names none. Does not return UNKNOWN_APP. */
enum pc_admit_result pc_admit_request(struct pc_engine *engine,
                                      const struct pc_http_message *request, pusherc_slice key,
                                      struct pc_admission *out);
/* Then checks the app: key, enabled, TLS, origin, quotas, capacity. `address` is what counts as one client
 * (pc_address_network()), 8 bytes at most; len 0 = unknown. */
enum pc_admit_result pc_admit_app(struct pc_engine *engine, const struct pc_http_message *request,
                                  bool tls, pusherc_slice address, struct pc_admission *out);

/* Counts a client that was refused with this code; app NULL = there is no such app. */
void pc_admit_count_error(struct pc_engine *engine, const struct pc_app *app, uint16_t code);

/* True for a path of WebSockets, "/app/..." below the prefix. The host's pages do not get such a path. */
bool pc_admit_path(const struct pc_engine *engine, pusherc_slice path);
/* The key in such a path, as it is there; len 0: the path is another one. */
pusherc_slice pc_admit_key(const struct pc_engine *engine, pusherc_slice path);

/* `path` without the configured prefix; false if it is not below it. */
bool pc_strip_prefix(const struct pc_engine *engine, pusherc_slice path, pusherc_slice *out);

#endif
