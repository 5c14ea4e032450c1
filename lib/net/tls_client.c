#include "net/tls_client.h"

#include <stdio.h>
#include <string.h>

#include <mbedtls/error.h>

#include <pusherc/error.h>

#include "net/authorities.h"
#include "net/tls_config.h"

#define FIRST_RECORD 20 /* the first bytes of TLS records */
#define LAST_RECORD  24

struct pc_tls_trust {
    struct pc_mem mem;
    mbedtls_ssl_config config;
    mbedtls_x509_crt authorities;
    struct pc_certificate own;
    bool has_own;
};

struct pc_tls_client {
    const struct pc_tls_trust *trust;
    mbedtls_ssl_context ssl;
    struct pc_buf out;
    pusherc_slice in; /* fed, not used yet */
    bool open, has_heard;
    char reason[PC_TLS_CLIENT_REASON];
    char text[PC_TLS_RECORD];
};

/* -- trust -- */

static int load(struct pc_tls_trust *trust, const struct pc_tls_trust_files *files,
                pusherc_errinfo *info)
{
    const char *ca_file = files->ca_file ? files->ca_file : pc_authorities_file("");
    const pusherc_tls_options own = {.cert_file = files->cert_file, .key_file = files->key_file};
    int err = 0;
    if (!files->cert_file != !files->key_file)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "cert_file and key_file are both needed");
    if (ca_file) /* without one no server is trusted, and the log says so */
        err = pc_tls_load_chain(&trust->authorities, "ca_file", ca_file, !files->ca_file, info);
    if (err == 0 && files->cert_file)
        err = pc_tls_load_pair(&trust->own, &own, NULL, info);
    trust->has_own = err == 0 && files->cert_file;
    return err;
}

static int configure(struct pc_tls_trust *trust)
{
    mbedtls_ssl_config *config = &trust->config;
    int error = mbedtls_ssl_config_defaults(
        config, MBEDTLS_SSL_IS_CLIENT, MBEDTLS_SSL_TRANSPORT_STREAM, MBEDTLS_SSL_PRESET_DEFAULT);
    if (error == 0 && trust->has_own)
        error = mbedtls_ssl_conf_own_cert(config, &trust->own.chain, &trust->own.key);
    if (error)
        return error;
    pc_tls_harden(config);
    mbedtls_ssl_conf_ca_chain(config, &trust->authorities, NULL);
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_REQUIRED);
    return 0;
}

int pc_tls_trust_new(struct pc_tls_trust **out, const struct pc_mem *mem,
                     const struct pc_tls_trust_files *files, pusherc_errinfo *info)
{
    char text[128];
    *out = NULL;
    struct pc_tls_trust *trust = pc_alloc_zero(mem, sizeof *trust);
    if (!trust)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    trust->mem = *mem;
    mbedtls_ssl_config_init(&trust->config);
    mbedtls_x509_crt_init(&trust->authorities);
    mbedtls_x509_crt_init(&trust->own.chain);
    mbedtls_pk_init(&trust->own.key);
    int err = load(trust, files, info);
    int error = err ? 0 : configure(trust);
    if (error) {
        mbedtls_strerror(error, text, sizeof text);
        err = pc_errinfo(info, PUSHERC_ETLS, error, "tls: %s", text);
    }
    if (err)
        pc_tls_trust_free(trust);
    else
        *out = trust;
    return err;
}

void pc_tls_trust_free(struct pc_tls_trust *trust)
{
    if (!trust)
        return;
    struct pc_mem mem = trust->mem;
    mbedtls_ssl_config_free(&trust->config);
    mbedtls_x509_crt_free(&trust->authorities);
    mbedtls_x509_crt_free(&trust->own.chain);
    mbedtls_pk_free(&trust->own.key);
    pc_free(&mem, trust);
}

/* -- a connection -- */

static int on_send(void *ctx, const unsigned char *bytes, size_t len)
{
    struct pc_tls_client *client = ctx;
    pc_buf_put(&client->out, pc_slice((const char *)bytes, len));
    return pc_buf_status(&client->out) ? MBEDTLS_ERR_SSL_ALLOC_FAILED : (int)len;
}

static int on_receive(void *ctx, unsigned char *out, size_t len)
{
    struct pc_tls_client *client = ctx;
    if (client->in.len == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (len > client->in.len)
        len = client->in.len;
    memcpy(out, client->in.ptr, len);
    client->in = pc_slice_skip(client->in, len);
    return (int)len;
}

/* What is wrong with the certificate, the gravest first. */
static const char *fault_of(uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *says;
    } rows[] = {
        {MBEDTLS_X509_BADCERT_NOT_TRUSTED, "is of no authority that is trusted here (ca_file)"},
        {MBEDTLS_X509_BADCERT_EXPIRED, "has expired"},
        {MBEDTLS_X509_BADCERT_FUTURE, "is not valid yet"},
        {MBEDTLS_X509_BADCERT_CN_MISMATCH, "is for another name"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (flags & rows[i].flag)
            return rows[i].says;
    return "cannot be used";
}

static int failed(struct pc_tls_client *client, int error)
{
    char text[128];
    if (error == MBEDTLS_ERR_SSL_ALLOC_FAILED || error == MBEDTLS_ERR_X509_ALLOC_FAILED)
        return PUSHERC_ENOMEM;
    if (error == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY)
        return PUSHERC_EIO;
    if (error == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED) {
        (void)snprintf(client->reason, sizeof client->reason, "its certificate %s",
                       fault_of(mbedtls_ssl_get_verify_result(&client->ssl)));
    } else if (error == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) {
        (void)snprintf(client->reason, sizeof client->reason, "it refuses TLS with this client%s",
                       client->trust->has_own
                           ? ""
                           : "; if it wants a certificate, set cert_file and key_file");
    } else {
        mbedtls_strerror(error, text, sizeof text);
        (void)snprintf(client->reason, sizeof client->reason, "TLS failed: %s", text);
    }
    return PUSHERC_ETLS;
}

static bool must_wait(int result)
{
    return result == MBEDTLS_ERR_SSL_WANT_READ ||
           result == MBEDTLS_ERR_SSL_RECEIVED_NEW_SESSION_TICKET;
}

struct pc_tls_client *pc_tls_client_new(const struct pc_tls_trust *trust, const char *name)
{
    struct pc_tls_client *client = pc_alloc_zero(&trust->mem, sizeof *client);
    if (!client)
        return NULL;
    client->trust = trust;
    pc_buf_init(&client->out, &trust->mem, SIZE_MAX);
    mbedtls_ssl_init(&client->ssl);
    mbedtls_ssl_set_bio(&client->ssl, client, on_send, on_receive, NULL);
    if (mbedtls_ssl_setup(&client->ssl, &trust->config) ||
        mbedtls_ssl_set_hostname(&client->ssl, name) ||
        !must_wait(mbedtls_ssl_handshake(&client->ssl))) {
        pc_tls_client_free(client);
        return NULL;
    }
    return client;
}

void pc_tls_client_free(struct pc_tls_client *client)
{
    if (!client)
        return;
    const struct pc_mem *mem = &client->trust->mem;
    mbedtls_ssl_free(&client->ssl);
    pc_buf_free(&client->out);
    pc_wipe(client->text, sizeof client->text);
    pc_free(mem, client);
}

struct pc_buf *pc_tls_client_out(struct pc_tls_client *client)
{
    return &client->out;
}

bool pc_tls_client_is_open(const struct pc_tls_client *client)
{
    return client->open;
}

void pc_tls_client_feed(struct pc_tls_client *client, pusherc_slice bytes)
{
    client->in = bytes;
}

/* A server that speaks Redis in the clear answers with letters and signs. */
static bool is_in_clear(struct pc_tls_client *client)
{
    if (client->has_heard || client->in.len == 0)
        return false;
    client->has_heard = true;
    unsigned char first = (unsigned char)client->in.ptr[0];
    return first < FIRST_RECORD || first > LAST_RECORD;
}

int pc_tls_client_read(struct pc_tls_client *client, pusherc_slice *text)
{
    int n = 0;
    size_t left;
    if (is_in_clear(client)) {
        (void)snprintf(client->reason, sizeof client->reason, "%s",
                       "it answers without TLS: its port is one for redis://");
        return PUSHERC_ETLS;
    }
    if (!client->open) {
        n = mbedtls_ssl_handshake(&client->ssl);
        client->open = n == 0;
        if (n)
            return must_wait(n) ? 0 : failed(client, n);
    }
    do { /* tickets and the like bring no text */
        left = client->in.len;
        n = mbedtls_ssl_read(&client->ssl, (unsigned char *)client->text, sizeof client->text);
    } while (must_wait(n) && client->in.len < left);
    if (n > 0)
        *text = pc_slice(client->text, (size_t)n);
    if (n == 0)
        return PUSHERC_EIO;
    return n > 0 ? 1 : must_wait(n) ? 0 : failed(client, n);
}

int pc_tls_client_write(struct pc_tls_client *client, pusherc_slice text)
{
    while (text.len) {
        int n = mbedtls_ssl_write(&client->ssl, (const unsigned char *)text.ptr, text.len);
        if (n <= 0)
            return failed(client, n);
        text = pc_slice_skip(text, (size_t)n);
    }
    return 0;
}

const char *pc_tls_client_reason(const struct pc_tls_client *client)
{
    return client->reason;
}
