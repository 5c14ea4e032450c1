/* TLS for wire.c, by Mbed TLS. wire_tls_none.c is in place of it in a build without TLS. */
#include "wire.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <mbedtls/error.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/ssl.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>

struct cli_wire_tls {
    mbedtls_ssl_config config;
    mbedtls_x509_crt trusted;
};

struct cli_wire_tls_session {
    mbedtls_ssl_context ssl;
    const int *fd; /* of the wire */
};

/* -- whom to trust -- */

static const char *const usual_files[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
};

static const char *usual_file(void)
{
    const char *chosen = getenv("SSL_CERT_FILE");

    if (chosen && *chosen)
        return chosen;
    for (size_t i = 0; i < sizeof usual_files / sizeof usual_files[0]; i++) {
        if (access(usual_files[i], R_OK) == 0)
            return usual_files[i];
    }
    return NULL;
}

static int load(struct cli_wire_tls *tls, const char *ca_file, struct cli_error *error)
{
    const char *file = ca_file ? ca_file : usual_file();
    char text[128];

    if (!file)
        return 0; /* then no certificate is trusted, and that is said */
    if (access(file, R_OK))
        return cli_fail(error, "cannot read %.300s: %s", file, strerror(errno));
    int err = mbedtls_x509_crt_parse_file(&tls->trusted, file);
    if (err >= 0 && tls->trusted.raw.len > 0) /* above 0: some of them could not be read */
        return 0;
    mbedtls_strerror(err, text, sizeof text);
    return cli_fail(error, "%.300s holds no certificate that can be read: %s", file, text);
}

int cli_wire_tls_new(struct cli_wire_tls **out, const char *ca_file, bool strict,
                     struct cli_error *error)
{
    struct cli_wire_tls *tls = calloc(1, sizeof *tls);

    *out = NULL;
    if (!tls)
        return cli_fail_no_memory(error);
    mbedtls_ssl_config_init(&tls->config);
    mbedtls_x509_crt_init(&tls->trusted);
    int status = load(tls, ca_file, error);
    if (status == 0 &&
        (psa_crypto_init() != PSA_SUCCESS ||
         mbedtls_ssl_config_defaults(&tls->config, MBEDTLS_SSL_IS_CLIENT,
                                     MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT)))
        status = cli_fail(error, "TLS cannot be set up");
    if (status) {
        cli_wire_tls_free(tls);
        return -1;
    }
#if MBEDTLS_VERSION_MAJOR < 4
    mbedtls_ssl_conf_rng(&tls->config, mbedtls_psa_get_random, MBEDTLS_PSA_RANDOM_STATE);
#endif
    mbedtls_ssl_conf_ca_chain(&tls->config, &tls->trusted, NULL);
    mbedtls_ssl_conf_authmode(&tls->config,
                              strict ? MBEDTLS_SSL_VERIFY_REQUIRED : MBEDTLS_SSL_VERIFY_OPTIONAL);
    *out = tls;
    return 0;
}

void cli_wire_tls_free(struct cli_wire_tls *tls)
{
    if (!tls)
        return;
    mbedtls_ssl_config_free(&tls->config);
    mbedtls_x509_crt_free(&tls->trusted);
    free(tls);
}

/* -- one connection -- */

static int on_send(void *ctx, const unsigned char *bytes, size_t len)
{
    const struct cli_wire_tls_session *session = ctx;
    ssize_t count = send(*session->fd, bytes, len, MSG_NOSIGNAL);

    if (count >= 0)
        return (int)count;
    return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE
                                             : MBEDTLS_ERR_SSL_CONN_EOF;
}

static int on_receive(void *ctx, unsigned char *out, size_t cap)
{
    const struct cli_wire_tls_session *session = ctx;
    ssize_t count = recv(*session->fd, out, cap, 0);

    if (count > 0)
        return (int)count;
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return MBEDTLS_ERR_SSL_WANT_READ;
    return MBEDTLS_ERR_SSL_CONN_EOF;
}

struct cli_wire_tls_session *cli_wire_tls_begin(struct cli_wire_tls *tls, int *fd, const char *name,
                                                struct cli_error *error)
{
    struct cli_wire_tls_session *session = calloc(1, sizeof *session);

    if (!session) {
        (void)cli_fail_no_memory(error);
        return NULL;
    }
    mbedtls_ssl_init(&session->ssl);
    session->fd = fd;
    if (mbedtls_ssl_setup(&session->ssl, &tls->config) ||
        mbedtls_ssl_set_hostname(&session->ssl, name)) {
        (void)cli_fail(error, "TLS cannot be set up for %.200s", name);
        cli_wire_tls_end(session);
        return NULL;
    }
    mbedtls_ssl_set_bio(&session->ssl, session, on_send, on_receive, NULL);
    return session;
}

void cli_wire_tls_end(struct cli_wire_tls_session *session)
{
    if (!session)
        return;
    mbedtls_ssl_free(&session->ssl);
    free(session);
}

static unsigned wrong_of(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        unsigned wrong;
    } known[] = {
        {MBEDTLS_X509_BADCERT_EXPIRED, CLI_WIRE_TLS_EXPIRED},
        {MBEDTLS_X509_BADCERT_FUTURE, CLI_WIRE_TLS_FUTURE},
        {MBEDTLS_X509_BADCERT_CN_MISMATCH, CLI_WIRE_TLS_OTHER_NAME},
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, CLI_WIRE_TLS_UNTRUSTED},
    };
    unsigned wrong = 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (flags & known[i].flag)
            wrong |= known[i].wrong;
        flags &= ~known[i].flag;
    }
    return flags ? wrong | CLI_WIRE_TLS_OTHER : wrong;
}

/* 1 = try again; else -1 with the error in words. */
static int pause_or_fail(struct cli_wire *wire, int err, const char *what)
{
    char text[160];
    uint32_t flags;

    if (err == MBEDTLS_ERR_SSL_WANT_READ || err == MBEDTLS_ERR_SSL_WANT_WRITE ||
        err == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET) {
        wire->wants = err == MBEDTLS_ERR_SSL_WANT_WRITE ? POLLOUT : POLLIN;
        errno = EAGAIN;
        return 1;
    }
    errno = EPROTO;
    wire->not_tls = err == MBEDTLS_ERR_SSL_INVALID_RECORD || err == MBEDTLS_ERR_SSL_CONN_EOF;
    if (err == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED &&
        (flags = mbedtls_ssl_get_verify_result(&wire->session->ssl))) {
        unsigned wrong = wrong_of(flags);
        return cli_fail(&wire->error, "%s: the certificate %s; pusherc doctor tells more", what,
                        wrong & CLI_WIRE_TLS_EXPIRED      ? "has expired"
                        : wrong & CLI_WIRE_TLS_OTHER_NAME ? "is for another name"
                        : wrong & CLI_WIRE_TLS_UNTRUSTED  ? "is signed by none that is trusted"
                                                          : "is not valid");
    }
    if (err == MBEDTLS_ERR_SSL_CONN_EOF)
        return cli_fail(&wire->error, "%s: the peer closed the connection", what);
    mbedtls_strerror(err, text, sizeof text);
    return cli_fail(&wire->error, "%s: %s", what, text);
}

int cli_wire_tls_shake(struct cli_wire *wire)
{
    int err = mbedtls_ssl_handshake(&wire->session->ssl);

    return err == 0 ? 1 : pause_or_fail(wire, err, "TLS handshake") < 0 ? -1 : 0;
}

ssize_t cli_wire_tls_read(struct cli_wire *wire, void *out, size_t cap)
{
    int count = MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;

    while (count == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET)
        count = mbedtls_ssl_read(&wire->session->ssl, out, cap);
    if (count >= 0)
        return count;
    if (count == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY || count == MBEDTLS_ERR_SSL_CONN_EOF)
        return 0;
    (void)pause_or_fail(wire, count, "read");
    return -1;
}

ssize_t cli_wire_tls_write(struct cli_wire *wire, const void *bytes, size_t len)
{
    int count = mbedtls_ssl_write(&wire->session->ssl, bytes, len);

    if (count >= 0)
        return count;
    (void)pause_or_fail(wire, count, "write");
    return -1;
}

/* -- what was shown -- */

static int64_t days_until(const mbedtls_x509_time *at)
{
    struct tm date = {.tm_year = at->year - 1900,
                      .tm_mon = at->mon - 1,
                      .tm_mday = at->day,
                      .tm_hour = at->hour,
                      .tm_min = at->min,
                      .tm_sec = at->sec};
    int64_t left = (int64_t)timegm(&date) - (int64_t)time(NULL);

    return left < 0 ? -((-left + 86399) / 86400) : left / 86400;
}

/* The names of a certificate: those of the list of names, else the subject. */
static void put_names(char *out, size_t cap, const mbedtls_x509_crt *certificate)
{
    size_t len = 0;

    out[0] = '\0';
    for (const mbedtls_x509_sequence *one = &certificate->subject_alt_names; one; one = one->next) {
        mbedtls_x509_subject_alternative_name name;
        if (one->buf.len == 0 || mbedtls_x509_parse_subject_alt_name(&one->buf, &name))
            continue;
        const mbedtls_x509_buf *text = &name.san.unstructured_name;
        if (name.type == MBEDTLS_X509_SAN_DNS_NAME && len < cap)
            len += (size_t)snprintf(out + len, cap - len, "%s%.*s", len ? ", " : "", (int)text->len,
                                    (const char *)text->p);
        else if (name.type == MBEDTLS_X509_SAN_IP_ADDRESS && text->len == 4 && len < cap)
            len += (size_t)snprintf(out + len, cap - len, "%s%u.%u.%u.%u", len ? ", " : "",
                                    text->p[0], text->p[1], text->p[2], text->p[3]);
        mbedtls_x509_free_subject_alt_name(&name);
    }
    if (out[0] == '\0')
        (void)mbedtls_x509_dn_gets(out, cap, &certificate->subject);
    cli_make_plain(out);
}

bool cli_wire_certificate(const struct cli_wire *wire, struct cli_wire_certificate *out)
{
    const mbedtls_ssl_context *ssl = wire->session ? &wire->session->ssl : NULL;
    const mbedtls_x509_crt *shown = ssl ? mbedtls_ssl_get_peer_cert(ssl) : NULL;

    *out = (struct cli_wire_certificate){0};
    if (!shown)
        return false;
    out->wrong = wrong_of(mbedtls_ssl_get_verify_result(ssl));
    out->days_left = days_until(&shown->valid_to);
    put_names(out->names, sizeof out->names, shown);
    (void)mbedtls_x509_dn_gets(out->issuer, sizeof out->issuer, &shown->issuer);
    cli_make_plain(out->issuer);
    (void)snprintf(out->version, sizeof out->version, "%s", mbedtls_ssl_get_version(ssl));
    return true;
}
