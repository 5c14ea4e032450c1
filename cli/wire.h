/*
 * A connection to a server, with or without TLS, for the commands that are clients. Nothing here blocks but
 * cli_wire_wait(): a command with one connection waits for it, `pusherc bench` waits for thousands with epoll.
 */
#ifndef CLI_WIRE_H
#define CLI_WIRE_H

#include <sys/socket.h>
#include <sys/types.h>

#include "target.h"

/* -- time -- */

int64_t cli_wire_now_us(void); /* monotonic */

/* -- names -- */

#define CLI_WIRE_MAX_ADDRESSES 8

struct cli_wire_addresses {
    struct sockaddr_storage items[CLI_WIRE_MAX_ADDRESSES];
    socklen_t lens[CLI_WIRE_MAX_ADDRESSES];
    size_t count; /* 1 or more after a success */
};

/* Look up a host. Returns 0, or -1 with `error`. Blocks as long as the system's resolver does. */
int cli_wire_look_up(struct cli_wire_addresses *out, const char *host, uint16_t port,
                     struct cli_error *error);
/* Write "127.0.0.1:6001" or "[::1]:6001". */
void cli_wire_address_text(const struct cli_wire_addresses *addresses, size_t index, char out[64]);

/* -- TLS -- */

struct cli_wire_tls; /* whom to trust: one for all connections */

/* What is wrong with a certificate; several may be set. */
enum {
    CLI_WIRE_TLS_EXPIRED = 1,
    CLI_WIRE_TLS_FUTURE = 2,
    CLI_WIRE_TLS_OTHER_NAME = 4,
    CLI_WIRE_TLS_UNTRUSTED = 8,
    CLI_WIRE_TLS_OTHER = 16
};
struct cli_wire_certificate {
    unsigned wrong;    /* 0 = all is well */
    int64_t days_left; /* until it expires */
    char names[256];   /* whom it was made for */
    char issuer[256];
    char version[32]; /* "TLSv1.3" */
};

/*
 * Make a configuration.
 *
 * ca_file  PEM file of the authorities to trust; NULL: SSL_CERT_FILE, or the system's
 * strict   false: a certificate that is not valid ends no handshake, and is told by cli_wire_certificate()
 *
 * Returns 0, or -1 with `error`; also if the program was built without TLS.
 */
int cli_wire_tls_new(struct cli_wire_tls **out, const char *ca_file, bool strict,
                     struct cli_error *error);
void cli_wire_tls_free(struct cli_wire_tls *tls);

/* -- connections -- */

enum cli_wire_state {
    CLI_WIRE_CONNECTING,
    CLI_WIRE_SHAKING, /* hands, for TLS */
    CLI_WIRE_OPEN,
    CLI_WIRE_FAILED
};

struct cli_wire {
    int fd; /* -1 = none */
    enum cli_wire_state state;
    short wants;  /* POLLIN or POLLOUT: what has to be awaited before the next call */
    bool refused; /* it failed because nothing listens */
    bool not_tls; /* it failed because the peer does not speak TLS */
    struct cli_error error;
    struct cli_wire_tls_session *session; /* owned; NULL = no TLS */
};

/* Begin to connect. `tls` NULL: without; `name`: whom the certificate has to be for. A failure is told by the state. */
void cli_wire_connect(struct cli_wire *wire, const struct cli_wire_addresses *to, size_t index,
                      struct cli_wire_tls *tls, const char *name);
/* Go on as far as that is possible without waiting. */
void cli_wire_step(struct cli_wire *wire);
/* Returns the bytes, 0 at the end, -1 with errno EAGAIN (`wants` says for what) or with `error`. */
ssize_t cli_wire_read(struct cli_wire *wire, void *out, size_t cap);
ssize_t cli_wire_write(struct cli_wire *wire, const void *bytes, size_t len);
void cli_wire_close(
    struct cli_wire *wire); /* also of one that failed; zero but for fd -1 is harmless */

/* Wait until the connection wants to be called again. False: the deadline has passed. */
bool cli_wire_wait(const struct cli_wire *wire, int64_t deadline_us);
/* Wait until it is open. Returns 0, or -1 with wire->error. */
int cli_wire_open(struct cli_wire *wire, int64_t deadline_us);
/* Write all. Returns 0, or -1 with wire->error. */
int cli_wire_write_all(struct cli_wire *wire, const void *bytes, size_t len, int64_t deadline_us);
/* Read some. Returns the bytes, 0 at the end, or -1 with wire->error. */
ssize_t cli_wire_read_some(struct cli_wire *wire, void *out, size_t cap, int64_t deadline_us);

/* What the peer has shown; false: there was no TLS. Only after the handshake. */
bool cli_wire_certificate(const struct cli_wire *wire, struct cli_wire_certificate *out);

/* -- between wire.c and wire_tls.c -- */

struct cli_wire_tls_session *cli_wire_tls_begin(struct cli_wire_tls *tls, int *fd, const char *name,
                                                struct cli_error *error);
void cli_wire_tls_end(struct cli_wire_tls_session *session);
/* Each returns as the functions above do, and sets wire->wants. */
int cli_wire_tls_shake(struct cli_wire *wire); /* 1 = done, 0 = goes on, -1 */
ssize_t cli_wire_tls_read(struct cli_wire *wire, void *out, size_t cap);
ssize_t cli_wire_tls_write(struct cli_wire *wire, const void *bytes, size_t len);

#endif
