/*
 * TLS between a socket and a connection's plain text, through Mbed TLS 3.6 or 4: beside codec/crypto the
 * only file that knows it, and the one place where its versions differ.
 *
 * The loop receives and hands in what came; text is read record by record. What is written goes to the
 * socket from here, and Mbed TLS never hears that a socket is full: ciphertext that the kernel does not take
 * waits here, and nothing is written on top of it. (The other way, repeating a write with the same
 * arguments, would tie down queued text that the app's policy may want to drop.) So at most one record
 * waits, or one flight of a handshake.
 *
 * Mbed TLS allocates with the C library. An idle connection holds 36 KiB of it with TLS 1.2 and 42 KiB with
 * 1.3 (massif, Mbed TLS 3.6.6, x86-64): two record buffers, which cannot be had smaller than 16 KiB. One
 * that has not said anything yet holds 1 KiB. A whole handshake costs a worker 1.6 ms with an ECDSA key
 * (P-256) and 3.5 ms with RSA (2048 bits), a resumed one 1.3 ms (TLS 1.2: 0.2 ms).
 */
#ifndef PC_NET_TLS_H
#define PC_NET_TLS_H

#include <stdbool.h>

#include <pusherc/server.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/slice.h"
#include "fanout/worker.h"

#define PC_TLS_RECORD 16384 /* the most text in one record */

/* Certificate, key and rules of a listener: TLS 1.2 and 1.3, forward secrecy, session tickets. Not changed
 * once it is made, so that its workers share it; counted, so that a new one may take its place while
 * connections still use it. */
struct pc_tls_config;
/* `mem` and `log` outlive it. 0; or with `info` filled PUSHERC_EINVAL (a file is not named), PUSHERC_ETLS (the files
 * are unusable), PUSHERC_ENOMEM, PUSHERC_ENOSYS (not compiled in). */
PC_CHECKED int pc_tls_config_new(struct pc_tls_config **out, const struct pc_mem *mem,
                                 struct pc_log *log, const pusherc_tls_options *options,
                                 pusherc_errinfo *info);
void pc_tls_config_ref(struct pc_tls_config *config);
void pc_tls_config_unref(struct pc_tls_config *config); /* NULL is harmless */

/* One connection's. */
struct pc_tls;
/* Counts `config`, borrows the rest; adds to `stats` what it sends. NULL: out of memory. */
struct pc_tls *pc_tls_new(struct pc_tls_config *config, int fd, struct pc_worker_stats *stats);
void pc_tls_free(struct pc_tls *tls); /* NULL is harmless */

/* Bytes from the socket; they stay valid while pc_tls_read() is called for them. */
void pc_tls_feed(struct pc_tls *tls, pusherc_slice bytes);

enum pc_tls_result {
    PC_TLS_MORE,       /* all that was fed is used up */
    PC_TLS_TEXT,       /* there may be more: read again */
    PC_TLS_END,        /* the peer has closed its half */
    PC_TLS_PLAIN_HTTP, /* the peer speaks HTTP without TLS: what was fed is it, unread */
    PC_TLS_FAILED      /* and was told why; only to be freed */
};
/* The text of the next record, PC_TLS_RECORD bytes at most; shakes hands first. */
enum pc_tls_result pc_tls_read(struct pc_tls *tls, char *out, size_t *len);

/* The handshake is over. */
bool pc_tls_is_open(const struct pc_tls *tls);
/* The socket is full: what waits goes first, with pc_tls_flush() when it can be written to. */
bool pc_tls_blocked(const struct pc_tls *tls);
/* Each: 0, or PUSHERC_EIO or PUSHERC_ETLS: the connection is lost. */
PC_CHECKED int pc_tls_flush(struct pc_tls *tls);
/* Sends at most a record of it, *taken bytes. Not while blocked. */
PC_CHECKED int pc_tls_write(struct pc_tls *tls, pusherc_slice text, size_t *taken);
/* Tells the peer that nothing more will come; once, again is harmless. Not while blocked. */
PC_CHECKED int pc_tls_end(struct pc_tls *tls);

#endif
