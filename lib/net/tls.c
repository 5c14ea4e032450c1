#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <uv.h>

#include <pusherc/error.h>

#include "base/buf.h"
#include "base/options.h"

/* A client that reconnects within this time resumes its session, without certificate and signature. */
#define TICKET_LIFETIME_S 7200
/* Bytes of `pending`: one record, or one flight of a handshake with a certificate chain of 16 KiB at most. */
#define MAX_PENDING      (1u << 16)
#define ALERT_RECORD     "\x15\x03\x03\x00\x02" /* then level and description */
#define ALERT_RECORD_LEN 5
#define ALERT_LEN        7

struct pc_tls_config {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    struct pc_log *log; /* borrowed */
    mbedtls_ssl_config ssl;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_ssl_ticket_context tickets; /* locked by Mbed TLS */
};

struct pc_tls {
    struct pc_tls_config *config; /* counted */
    struct pc_worker_stats *stats;
    int fd;
    bool begun;            /* `ssl` has its buffers */
    bool open;             /* the handshake is over */
    bool ended;            /* close_notify was sent */
    uint8_t alert;         /* the alert at the end of the bytes fed last; 0 = none */
    pusherc_slice in;      /* fed, not used yet */
    struct pc_buf pending; /* ciphertext that the kernel did not take */
    mbedtls_ssl_context ssl;
};

/* -- what differs between the versions: version 4 takes no random generator from its caller -- */

#if MBEDTLS_VERSION_MAJOR >= 4

static int parse_key(mbedtls_pk_context *key, const char *file, const char *password)
{
    return mbedtls_pk_parse_keyfile(key, file, password);
}

static int check_pair(const mbedtls_pk_context *certified, const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(certified, key);
}

static void set_random(mbedtls_ssl_config *config)
{
    (void)config;
}

static int set_up_tickets(mbedtls_ssl_ticket_context *tickets)
{
    return mbedtls_ssl_ticket_setup(tickets, PSA_ALG_GCM, PSA_KEY_TYPE_AES, 256, TICKET_LIFETIME_S);
}

#else

/* Uses PSA's generator, which is one per process and locked, so that workers share no generator of this library. */
static int parse_key(mbedtls_pk_context *key, const char *file, const char *password)
{
    return mbedtls_pk_parse_keyfile(key, file, password, mbedtls_psa_get_random,
                                    MBEDTLS_PSA_RANDOM_STATE);
}

static int check_pair(const mbedtls_pk_context *certified, const mbedtls_pk_context *key)
{
    return mbedtls_pk_check_pair(certified, key, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
}

static void set_random(mbedtls_ssl_config *config)
{
    mbedtls_ssl_conf_rng(config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
}

static int set_up_tickets(mbedtls_ssl_ticket_context *tickets)
{
    return mbedtls_ssl_ticket_setup(tickets, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE,
                                    MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFETIME_S);
}

#endif

/* -- a listener's configuration -- */

/* Only suites with forward secrecy and authenticated encryption. AES comes first: processors have instructions for it.
 * */
static const int cipher_suites[] = {
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    0,
};

/* 0 or -errno. Gives the reason, which Mbed TLS does not, and refuses a folder, which Mbed TLS reads as an endless
 * file. */
static int try_to_read(const char *file)
{
    char byte;
    int fd = open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = read(fd, &byte, 1) < 0 ? -errno : 0;
    close(fd);
    return err;
}

/* The high-level part of an Mbed TLS error code. */
static int high_level(int error)
{
    return error <= -0x1000 ? -(-error & 0xff80) : error;
}

static int load_chain(struct pc_tls_config *config, const char *file, pusherc_errinfo *info)
{
    char text[128];
    int error = try_to_read(file);
    if (error)
        return pc_errinfo(info, PUSHERC_ETLS, error, "certificate: %s: %s", uv_strerror(error),
                          file);
    error = mbedtls_x509_crt_parse_file(&config->chain, file);
    if (error == 0)
        return 0;
    if (error > 0) /* the number of certificates that could not be parsed */
        return pc_errinfo(info, PUSHERC_ETLS, 0, "certificate: not all in it can be read: %s",
                          file);
    mbedtls_strerror(error, text, sizeof text);
    return pc_errinfo(info, PUSHERC_ETLS, error, "certificate: %s: %s", text, file);
}

static int load_key(struct pc_tls_config *config, const char *file, const char *password,
                    pusherc_errinfo *info)
{
    char text[128];
    const char *why = text;
    int error = try_to_read(file);
    if (error)
        return pc_errinfo(info, PUSHERC_ETLS, error, "private key: %s: %s", uv_strerror(error),
                          file);
    error = parse_key(&config->key, file, password);
    switch (high_level(error)) {
    case 0:
        return 0;
    case MBEDTLS_ERR_PK_KEY_INVALID_FORMAT:
        why = "not a readable private key";
        break;
    case MBEDTLS_ERR_PK_PASSWORD_REQUIRED:
        why = "encrypted, and no password was given";
        break;
    case MBEDTLS_ERR_PK_PASSWORD_MISMATCH:
        why = "wrong password";
        break;
    default:
        mbedtls_strerror(error, text, sizeof text);
    }
    return pc_errinfo(info, PUSHERC_ETLS, error, "private key: %s: %s", why, file);
}

static int load_files(struct pc_tls_config *config, const pusherc_tls_options *options,
                      pusherc_errinfo *info)
{
    int err = load_chain(config, options->cert_file, info);
    if (err == 0)
        err = load_key(config, options->key_file, options->key_password, info);
    if (err)
        return err;
    if (check_pair(&config->chain.pk, &config->key))
        return pc_errinfo(info, PUSHERC_ETLS, 0,
                          "private key: not that of the first certificate in %s: %s",
                          options->cert_file, options->key_file);
    if (mbedtls_x509_time_is_past(&config->chain.valid_to))
        PC_LOG(config->log, WARN, ((struct pc_log_about){.subject = "tls"}),
               "the certificate has expired: %s", options->cert_file);
    return 0;
}

static int configure(struct pc_tls_config *config)
{
    mbedtls_ssl_config *ssl = &config->ssl;
    int error = mbedtls_ssl_config_defaults(
        ssl, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (error == 0)
        error = mbedtls_ssl_conf_own_cert(ssl, &config->chain, &config->key);
    if (error == 0)
        error = set_up_tickets(&config->tickets);
    if (error)
        return error;
    set_random(ssl);
    mbedtls_ssl_conf_min_tls_version(ssl, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_ciphersuites(ssl, cipher_suites);
    mbedtls_ssl_conf_session_tickets_cb(ssl, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        &config->tickets);
#ifdef MBEDTLS_SSL_RENEGOTIATION
    mbedtls_ssl_conf_renegotiation(ssl, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
    return 0;
}

int pc_tls_config_new(struct pc_tls_config **out, const struct pc_mem *mem, struct pc_log *log,
                      const pusherc_tls_options *from, pusherc_errinfo *info)
{
    char text[128];
    pusherc_tls_options taken, *const options = &taken;
    *out = NULL;
    int err = PC_TAKE(tls_options, options, from, info);
    if (err)
        return err;
    if (!options->cert_file || !options->key_file)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "tls: cert_file and key_file are both needed");
    struct pc_tls_config *config = pc_alloc_zero(mem, sizeof *config);
    if (!config)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    atomic_init(&config->refs, 1);
    config->mem = *mem;
    config->log = log;
    mbedtls_ssl_config_init(&config->ssl);
    mbedtls_x509_crt_init(&config->chain);
    mbedtls_pk_init(&config->key);
    mbedtls_ssl_ticket_init(&config->tickets);
    err = load_files(config, options, info);
    if (err)
        goto fail;
    int error = configure(config);
    if (error) {
        mbedtls_strerror(error, text, sizeof text);
        err = pc_errinfo(info, PUSHERC_ETLS, error, "tls: %s", text);
        goto fail;
    }
    *out = config;
    return 0;

fail:
    pc_tls_config_unref(config);
    return err;
}

void pc_tls_config_ref(struct pc_tls_config *config)
{
    atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
}

void pc_tls_config_unref(struct pc_tls_config *config)
{
    /* acquire: the last holder, which frees, sees all writes of the other holders */
    if (!config || atomic_fetch_sub_explicit(&config->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = config->mem;
    mbedtls_ssl_config_free(&config->ssl);
    mbedtls_ssl_ticket_free(&config->tickets);
    mbedtls_pk_free(&config->key); /* wipes the key */
    mbedtls_x509_crt_free(&config->chain);
    pc_free(&mem, config);
}

/* -- a connection -- */

struct pc_tls *pc_tls_new(struct pc_tls_config *config, int fd, struct pc_worker_stats *stats)
{
    struct pc_tls *tls = pc_alloc_zero(&config->mem, sizeof *tls);
    if (!tls)
        return NULL;
    pc_tls_config_ref(config);
    tls->config = config;
    tls->fd = fd;
    tls->stats = stats;
    pc_buf_init(&tls->pending, &config->mem, MAX_PENDING);
    mbedtls_ssl_init(&tls->ssl);
    return tls;
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
    if (!tls->begun)
        n = begin(tls);
    if (n == 0)
        n = read_record(tls, out);
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
    int n = mbedtls_ssl_write(&tls->ssl, (const unsigned char *)text.ptr, text.len);
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
    return mbedtls_ssl_close_notify(&tls->ssl) ? PUSHERC_EIO : 0;
}
