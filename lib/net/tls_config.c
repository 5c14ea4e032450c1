#include "net/tls_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/error.h>
#include <mbedtls/psa_util.h>
#include <mbedtls/version.h>
#include <uv.h>

#include <pusherc/error.h>

#include "base/options.h"
#include "net/tls_spare.h"

/* A client that reconnects within this time resumes its session, without certificate and signature. */
#define TICKET_LIFETIME_S 7200

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

/* -- certificates -- */

/* Of what a client offers a server takes the first. Mbed TLS has tables for P-256 and none for X25519, so that a handshake
 * costs a fifth less with it. */
static const uint16_t groups[] = {
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP384R1, MBEDTLS_SSL_IANA_TLS_GROUP_X448,
    MBEDTLS_SSL_IANA_TLS_GROUP_SECP521R1, MBEDTLS_SSL_IANA_TLS_GROUP_NONE,
};

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

int pc_tls_load_chain(mbedtls_x509_crt *chain, const char *what, const char *file, bool lenient,
                      pusherc_errinfo *info)
{
    char text[128];
    int error = try_to_read(file);
    if (error)
        return pc_errinfo(info, PUSHERC_ETLS, error, "%s: %s: %s", what, uv_strerror(error), file);
    error = mbedtls_x509_crt_parse_file(chain, file);
    if (error == 0 || (error > 0 && lenient && chain->raw.len > 0))
        return 0;
    if (error > 0) /* the number of certificates that could not be parsed */
        return pc_errinfo(info, PUSHERC_ETLS, 0, "%s: not all in it can be read: %s", what, file);
    mbedtls_strerror(error, text, sizeof text);
    return pc_errinfo(info, PUSHERC_ETLS, error, "%s: %s: %s", what, text, file);
}

static int load_key(struct pc_certificate *certificate, const char *file, const char *password,
                    pusherc_errinfo *info)
{
    char text[128];
    const char *why = text;
    int error = try_to_read(file);
    if (error)
        return pc_errinfo(info, PUSHERC_ETLS, error, "private key: %s: %s", uv_strerror(error),
                          file);
    error = parse_key(&certificate->key, file, password);
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

int pc_tls_load_pair(struct pc_certificate *certificate, const pusherc_tls_options *options,
                     struct pc_log *log, pusherc_errinfo *info)
{
    int err =
        pc_tls_load_chain(&certificate->chain, "certificate", options->cert_file, false, info);
    if (err == 0)
        err = load_key(certificate, options->key_file, options->key_password, info);
    if (err)
        return err;
    if (check_pair(&certificate->chain.pk, &certificate->key))
        return pc_errinfo(info, PUSHERC_ETLS, 0,
                          "private key: not that of the first certificate in %s: %s",
                          options->cert_file, options->key_file);
    if (log && mbedtls_x509_time_is_past(&certificate->chain.valid_to))
        PC_LOG(log, WARN, ((struct pc_log_about){.subject = "tls"}),
               "the certificate has expired: %s", options->cert_file);
    return 0;
}

/* Loads the certificates in the list `from`, the host's. What has been loaded before a failure is in the config. */
static int load_all(struct pc_tls_config *config, const pusherc_tls_options *from,
                    pusherc_errinfo *info)
{
    struct pc_certificate **end = &config->certificates;
    pusherc_tls_options taken, *const options = &taken;
    int err = 0;
    for (size_t count = 0; err == 0 && from; from = options->next, end = &(*end)->next) {
        err = PC_TAKE(tls_options, options, from, info);
        if (err)
            return err;
        if (!options->cert_file || !options->key_file)
            return pc_errinfo(info, PUSHERC_EINVAL, 0,
                              "tls: cert_file and key_file are both needed");
        if (count++ == PUSHERC_TLS_MAX_CERTIFICATES)
            return pc_errinfo(info, PUSHERC_EINVAL, 0, "tls: more than %d certificates",
                              PUSHERC_TLS_MAX_CERTIFICATES);
        *end = pc_alloc_zero(&config->mem, sizeof **end);
        if (!*end)
            return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
        mbedtls_x509_crt_init(&(*end)->chain);
        mbedtls_pk_init(&(*end)->key);
        err = pc_tls_load_pair(*end, options, config->log, info);
    }
    return err;
}

static void free_all(struct pc_tls_config *config)
{
    for (struct pc_certificate *c = config->certificates, *next; c; c = next) {
        next = c->next;
        mbedtls_pk_free(&c->key); /* wipes the key */
        mbedtls_x509_crt_free(&c->chain);
        pc_free(&config->mem, c);
    }
}

/* True if the certificate is for the host of that name: "*.example.org" is for a.example.org, not for a.b.example.org. */
static bool is_for(const mbedtls_x509_crt *crt, pusherc_slice host)
{
    pusherc_slice parent = pc_slice_skip(host, pc_slice_find(host, '.'));
    for (const mbedtls_x509_sequence *s = &crt->subject_alt_names; s; s = s->next) {
        pusherc_slice name = pc_slice((const char *)s->buf.p, s->buf.len);
        if ((s->buf.tag & MBEDTLS_ASN1_TAG_VALUE_MASK) != MBEDTLS_X509_SAN_DNS_NAME || name.len < 3)
            continue;
        if (name.ptr[0] == '*' ? pc_slice_eq_nocase(pc_slice_skip(name, 1), parent)
                               : pc_slice_eq_nocase(name, host))
            return true;
    }
    return false;
}

/* Mbed TLS's callback for the name that a client asks for. All certificates for it are offered, so that an ECDSA and an
 * RSA certificate may be for the same host. */
static int on_name(void *ctx, mbedtls_ssl_context *ssl, const unsigned char *name, size_t len)
{
    struct pc_tls_config *config = ctx;
    int error = 0;
    for (struct pc_certificate *c = config->certificates; c && error == 0; c = c->next)
        if (is_for(&c->chain, pc_slice((const char *)name, len)))
            error = mbedtls_ssl_set_hs_own_cert(ssl, &c->chain, &c->key);
    return error;
}

/* -- a configuration -- */

void pc_tls_harden(mbedtls_ssl_config *config)
{
    set_random(config);
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
    mbedtls_ssl_conf_ciphersuites(config, cipher_suites);
    mbedtls_ssl_conf_groups(config, groups);
#ifdef MBEDTLS_SSL_RENEGOTIATION
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
#endif
}

static int configure(struct pc_tls_config *config)
{
    mbedtls_ssl_config *ssl = &config->ssl;
    int error = mbedtls_ssl_config_defaults(
        ssl, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (error == 0)
        error = mbedtls_ssl_conf_own_cert(ssl, &config->certificates->chain,
                                          &config->certificates->key);
    if (error == 0)
        error = set_up_tickets(&config->tickets);
    if (error)
        return error;
    pc_tls_harden(ssl);
    if (config->certificates->next)
        mbedtls_ssl_conf_sni(ssl, on_name, config);
    mbedtls_ssl_conf_session_tickets_cb(ssl, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse,
                                        &config->tickets);
    return 0;
}

int pc_tls_config_new(struct pc_tls_config **out, const struct pc_mem *mem, struct pc_log *log,
                      const pusherc_tls_options *from, pusherc_errinfo *info)
{
    char text[128];
    *out = NULL;
    struct pc_tls_config *config = pc_alloc_zero(mem, sizeof *config);
    if (!config)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    atomic_init(&config->refs, 1);
    config->mem = *mem;
    config->log = log;
    config->parks = pc_tls_can_park();
    mbedtls_ssl_config_init(&config->ssl);
    mbedtls_ssl_ticket_init(&config->tickets);
    int err = load_all(config, from, info);
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
    free_all(config);
    pc_free(&mem, config);
}
