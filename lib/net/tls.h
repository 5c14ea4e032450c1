/*
 * TLS between a socket and a connection's plain text, through Mbed TLS 3.6 or 4. Only tls*.c and codec/crypto
 * include Mbed TLS, and only tls_config.c and tls_spare.c have code that differs between its versions.
 *
 * How it works. The loop receives ciphertext and passes it to pc_tls_feed(); pc_tls_read() returns the text record by
 * record. pc_tls_write() encrypts one record and sends it. If the socket is full, the rest of the ciphertext is kept in
 * `pending`, and the connection writes nothing more until pc_tls_flush() has sent it. Mbed TLS sees every write
 * succeed; if it saw "would block", the same text would have to be passed again, so queued text could not be dropped by
 * the app's policy meanwhile. Hence at most one record waits, or one flight of a handshake.
 *
 * Mbed TLS allocates with the C library. An idle connection gives its two record buffers, which cannot be smaller than
 * 16 KiB, to the loop (tls_spare.h) and takes 4 KiB with TLS 1.2 and 10 KiB with TLS 1.3, where the handshake's secrets stay
 * (Mbed TLS 3.6.6, x86-64). A connection whose client has sent nothing yet takes 1 KiB. A full handshake costs a worker 1.6 ms with an ECDSA key (P-256) and 3.5 ms with
 * RSA (2048 bits), a resumed one 1.3 ms (TLS 1.2: 0.2 ms).
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

/* Certificate, key and settings of a listener: TLS 1.2 and 1.3, forward secrecy, session tickets. It does not change,
 * so all workers share it. It is counted, so a new one can replace it while connections still use it. */
struct pc_tls_config;
/* `mem` and `log` outlive it. 0; or with `info` filled PUSHERC_EINVAL (a file is not named, or too many certificates), PUSHERC_ETLS (the files
 * are unusable), PUSHERC_ENOMEM, PUSHERC_ENOSYS (not compiled in). */
PC_CHECKED int pc_tls_config_new(struct pc_tls_config **out, const struct pc_mem *mem,
                                 struct pc_log *log, const pusherc_tls_options *options,
                                 pusherc_errinfo *info);
void pc_tls_config_ref(struct pc_tls_config *config);
void pc_tls_config_unref(struct pc_tls_config *config); /* NULL is harmless */

/* Record buffers that an idle connection has left to the next one of its loop that works. Zero = none. */
struct pc_tls_spare {
    unsigned char *in, *out;
};
void pc_tls_spare_free(struct pc_tls_spare *spare);

/* The TLS state of one connection. */
struct pc_tls;
/* Counts `config`. Before the first read or write the caller calls pc_tls_move_in(). NULL: out of memory. */
struct pc_tls *pc_tls_new(struct pc_tls_config *config, int fd);
/* From now on adds the bytes and calls of its writes to `stats`, and shares `spare`. Both are borrowed. */
void pc_tls_move_in(struct pc_tls *tls, struct pc_worker_stats *stats, struct pc_tls_spare *spare);
void pc_tls_free(struct pc_tls *tls); /* NULL is harmless */

/* Passes bytes from the socket. They stay valid until pc_tls_read() has used them up. */
void pc_tls_feed(struct pc_tls *tls, pusherc_slice bytes);

enum pc_tls_result {
    PC_TLS_MORE,       /* all bytes fed are used up */
    PC_TLS_TEXT,       /* one record's text; read again, there may be more */
    PC_TLS_END,        /* the peer has closed its half */
    PC_TLS_PLAIN_HTTP, /* the peer sent HTTP without TLS; the bytes fed are unread */
    PC_TLS_FAILED      /* the peer got an alert with the reason; only pc_tls_free() may follow */
};
/* Returns the text of the next record, PC_TLS_RECORD bytes at most. Does the handshake before the first. */
enum pc_tls_result pc_tls_read(struct pc_tls *tls, char *out, size_t *len);

/* True after the handshake. */
bool pc_tls_is_open(const struct pc_tls *tls);
/* True while ciphertext waits because the socket is full. Call pc_tls_flush() when the socket is writable. */
bool pc_tls_blocked(const struct pc_tls *tls);
/* The next three return 0; or PUSHERC_EIO or PUSHERC_ETLS: the connection is lost. */
PC_CHECKED int pc_tls_flush(struct pc_tls *tls);
/* Sends at most one record of `text`: its first *taken bytes. Not while blocked. */
PC_CHECKED int pc_tls_write(struct pc_tls *tls, pusherc_slice text, size_t *taken);
/* Sends close_notify, which ends the server's half. A second call has no effect. Not while blocked. */
PC_CHECKED int pc_tls_end(struct pc_tls *tls);

#endif
