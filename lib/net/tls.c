#include "net/tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <mbedtls/error.h>
#include <mbedtls/ssl.h>

#include <pusherc/error.h>

#include "base/buf.h"
#include "net/tls_config.h"
#include "net/tls_spare.h"

/* Bytes of `pending`: one record, or one flight of a handshake with a certificate chain of 16 KiB at most. */
#define MAX_PENDING      (1u << 16)
#define ALERT_RECORD     "\x15\x03\x03\x00\x02" /* then level and description */
#define ALERT_RECORD_LEN 5
#define ALERT_LEN        7

struct pc_tls {
    struct pc_tls_config *config; /* counted */
    struct pc_worker_stats *stats;
    struct pc_tls_spare *spare;
    struct pc_tls_parked parked;
    int fd;
    bool begun;            /* `ssl` has its buffers */
    bool open;             /* the handshake is over */
    bool ended;            /* close_notify was sent */
    uint8_t alert;         /* the alert at the end of the bytes fed last; 0 = none */
    pusherc_slice in;      /* fed, not used yet */
    struct pc_buf pending; /* ciphertext that the kernel did not take */
    mbedtls_ssl_context ssl;
};

/* -- a connection -- */

struct pc_tls *pc_tls_new(struct pc_tls_config *config, int fd)
{
    struct pc_tls *tls = pc_alloc_zero(&config->mem, sizeof *tls);
    if (!tls)
        return NULL;
    pc_tls_config_ref(config);
    tls->config = config;
    tls->fd = fd;
    pc_buf_init(&tls->pending, &config->mem, MAX_PENDING);
    mbedtls_ssl_init(&tls->ssl);
    return tls;
}

void pc_tls_move_in(struct pc_tls *tls, struct pc_worker_stats *stats, struct pc_tls_spare *spare)
{
    tls->stats = stats;
    tls->spare = spare;
}

void pc_tls_free(struct pc_tls *tls)
{
    if (!tls)
        return;
    mbedtls_ssl_free(&tls->ssl);
    pc_buf_free(&tls->pending);
    struct pc_tls_config *config = tls->config;
    pc_free(&config->mem, tls);
    pc_tls_config_unref(config);
}

/* Returns the bytes sent, fewer than len if the socket is full; -1: the connection is lost. */
static ssize_t send_some(struct pc_tls *tls, const void *bytes, size_t len)
{
    ssize_t n;
    do {
        pc_stat_add(&tls->stats->write_calls, 1);
        n = send(tls->fd, bytes, len, MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
    pc_stat_add(&tls->stats->bytes_out, (uint64_t)n);
    return n;
}

/* Mbed TLS's callback for sending. Keeps in `pending` what the socket does not take, and reports all as sent. */
static int on_send(void *ctx, const unsigned char *bytes, size_t len)
{
    struct pc_tls *tls = ctx;
    ssize_t sent = 0;
    if (!pc_tls_blocked(tls))
        sent = send_some(tls, bytes, len);
    if (sent < 0)
        return MBEDTLS_ERR_SSL_CONN_EOF;
    if ((size_t)sent < len)
        pc_buf_put(&tls->pending, pc_slice((const char *)bytes + sent, len - (size_t)sent));
    /* `pending` is full only if the peer provokes alerts and reads none */
    return pc_buf_status(&tls->pending) ? MBEDTLS_ERR_SSL_ALLOC_FAILED : (int)len;
}

/* Mbed TLS's callback for receiving. */
static int on_receive(void *ctx, unsigned char *out, size_t len)
{
    struct pc_tls *tls = ctx;
    if (tls->in.len == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (len > tls->in.len)
        len = tls->in.len;
    memcpy(out, tls->in.ptr, len);
    tls->in = pc_slice_skip(tls->in, len);
    return (int)len;
}

static void log_failure(const struct pc_tls *tls, int error)
{
    char text[128];
    if (!pc_log_wants(tls->config->log, PUSHERC_LOG_DEBUG))
        return;
    if (tls->alert)
        snprintf(text, sizeof text, "the peer refused, alert %u", tls->alert);
    else
        mbedtls_strerror(error, text, sizeof text);
    PC_LOG(tls->config->log, DEBUG, ((struct pc_log_about){.subject = "tls"}),
           "connection lost: %s", text);
}

/* Finds an unencrypted alert at the end of `bytes`. A client that rejects the certificate sends one when Mbed TLS
 * expects ciphertext already and would report a failed decryption instead of the reason. */
static uint8_t alert_in_clear(pusherc_slice bytes)
{
    if (bytes.len < ALERT_LEN)
        return 0;
    const char *end = bytes.ptr + bytes.len;
    if (memcmp(end - ALERT_LEN, ALERT_RECORD, ALERT_RECORD_LEN) != 0)
        return 0;
    return (uint8_t)end[-1];
}

void pc_tls_feed(struct pc_tls *tls, pusherc_slice bytes)
{
    tls->in = bytes;
    tls->alert = alert_in_clear(bytes);
}

/* The first byte tells: a TLS record begins with a byte of 20 to 24, an HTTP request with a letter. */
static bool speaks_http(const struct pc_tls *tls)
{
    return !tls->begun && tls->in.len > 0 && tls->in.ptr[0] >= 'A' && tls->in.ptr[0] <= 'Z';
}

/* Allocates the record buffers when the first bytes arrive, so that a client that only connects costs none. */
static int begin(struct pc_tls *tls)
{
    int error = mbedtls_ssl_setup(&tls->ssl, &tls->config->ssl);
    mbedtls_ssl_set_bio(&tls->ssl, tls, on_send, on_receive, NULL);
    tls->begun = error == 0;
    return error;
}

/* Between these two calls Mbed TLS has the connection. */
static int take_up(struct pc_tls *tls)
{
    return pc_tls_unpark(&tls->ssl, &tls->parked, tls->spare, &tls->config->ssl);
}

static void lay_down(struct pc_tls *tls)
{
    if (tls->config->parks)
        pc_tls_park(&tls->ssl, &tls->parked, tls->spare);
}

/* Calls mbedtls_ssl_read() until it has text or has used up the input: it returns early after an alert that it ignores.
 * */
static int read_record(struct pc_tls *tls, char *out)
{
    size_t left;
    int n;
    do {
        left = tls->in.len;
        n = mbedtls_ssl_read(&tls->ssl, (unsigned char *)out, PC_TLS_RECORD);
    } while ((n == MBEDTLS_ERR_SSL_WANT_READ || n == 0) && tls->in.len < left && tls->in.len > 0);
    if (!tls->open)
        tls->open = mbedtls_ssl_is_handshake_over(&tls->ssl);
    return n;
}

enum pc_tls_result pc_tls_read(struct pc_tls *tls, char *out, size_t *len)
{
    int n = 0;
    if (speaks_http(tls))
        return PC_TLS_PLAIN_HTTP;
    n = tls->begun ? take_up(tls) : begin(tls);
    if (n == 0) {
        n = read_record(tls, out);
        lay_down(tls);
    }
    if (n > 0) {
        *len = (size_t)n;
        return PC_TLS_TEXT;
    }
    if (tls->in.len == 0 && (n == 0 || n == MBEDTLS_ERR_SSL_WANT_READ))
        return PC_TLS_MORE;
    if (n == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return PC_TLS_END;
    log_failure(tls, n);
    return PC_TLS_FAILED;
}

bool pc_tls_is_open(const struct pc_tls *tls)
{
    return tls->open;
}

bool pc_tls_blocked(const struct pc_tls *tls)
{
    return tls->pending.len > 0;
}

int pc_tls_flush(struct pc_tls *tls)
{
    if (!pc_tls_blocked(tls))
        return 0;
    ssize_t sent = send_some(tls, tls->pending.ptr, tls->pending.len);
    if (sent < 0)
        return PUSHERC_EIO;
    if ((size_t)sent < tls->pending.len)
        pc_buf_consume(&tls->pending, (size_t)sent);
    else
        pc_buf_free(&tls->pending);
    return 0;
}

int pc_tls_write(struct pc_tls *tls, pusherc_slice text, size_t *taken)
{
    int n = take_up(tls);
    if (n == 0) {
        n = mbedtls_ssl_write(&tls->ssl, (const unsigned char *)text.ptr, text.len);
        lay_down(tls);
    }
    *taken = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return 0;
    log_failure(tls, n);
    return PUSHERC_ETLS;
}

int pc_tls_end(struct pc_tls *tls)
{
    if (tls->ended || !tls->begun)
        return 0;
    tls->ended = true;
    if (take_up(tls))
        return PUSHERC_ETLS;
    int error = mbedtls_ssl_close_notify(&tls->ssl);
    lay_down(tls);
    return error ? PUSHERC_EIO : 0;
}
