/*
 * TLS as a client, without a socket: the caller brings what has come, and sends what is to be sent. The server's
 * certificate has to be signed by an authority that is trusted, and to be for the name that was asked for.
 */
#ifndef PC_NET_TLS_CLIENT_H
#define PC_NET_TLS_CLIENT_H

#include <pusherc/error.h>

#include "base/buf.h"

#define PC_TLS_CLIENT_REASON 200

/* Which servers are trusted, and who the client is. It does not change, so connections of several threads may use it. */
struct pc_tls_trust;
struct pc_tls_trust_files {
    const char *ca_file;              /* PEM; NULL = the system's authorities */
    const char *cert_file, *key_file; /* the client's; both or none */
};
/* 0; or with `info` filled PUSHERC_EINVAL (one file of a pair), PUSHERC_ETLS (a file is unusable), PUSHERC_ENOMEM,
 * PUSHERC_ENOSYS (not compiled in). */
PC_CHECKED int pc_tls_trust_new(struct pc_tls_trust **out, const struct pc_mem *mem,
                                const struct pc_tls_trust_files *files, pusherc_errinfo *info);
void pc_tls_trust_free(struct pc_tls_trust *trust); /* NULL is harmless */

/* One connection. */
struct pc_tls_client;
/* `trust` outlives it; `name` of the server is copied. The first bytes to send are there at once. NULL: out of memory. */
struct pc_tls_client *pc_tls_client_new(const struct pc_tls_trust *trust, const char *name);
void pc_tls_client_free(struct pc_tls_client *client); /* NULL is harmless */

/* Bytes to send. The caller takes them out; they are there after each of the functions below, also after a failure. */
struct pc_buf *pc_tls_client_out(struct pc_tls_client *client);
bool pc_tls_client_is_open(const struct pc_tls_client *client); /* the handshake is over */

/* Passes bytes that have come. They stay valid until pc_tls_client_read() has used them up. */
void pc_tls_client_feed(struct pc_tls_client *client, pusherc_slice bytes);
/* 1: a piece of text, valid until the next call; there may be more. 0: all that was fed is used up. PUSHERC_EIO: the
 * server has ended the connection; PUSHERC_ETLS: it failed, pc_tls_client_reason() tells why; PUSHERC_ENOMEM. */
PC_CHECKED int pc_tls_client_read(struct pc_tls_client *client, pusherc_slice *text);
/* After the handshake. 0, PUSHERC_ETLS, PUSHERC_ENOMEM. */
PC_CHECKED int pc_tls_client_write(struct pc_tls_client *client, pusherc_slice text);
/* Behind "Redis at HOST:PORT": a sentence for the log. */
const char *pc_tls_client_reason(const struct pc_tls_client *client);

#endif
