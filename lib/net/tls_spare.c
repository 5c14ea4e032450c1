#define MBEDTLS_ALLOW_PRIVATE_ACCESS /* the fields of struct mbedtls_ssl_context that are named below */
#include "net/tls_spare.h"

#include <string.h>

#include <mbedtls/version.h>

#define NUMBER_LEN   8 /* of the record number at the front of the buffer for input */
#define THE_SERIES   0x03060000u
#define SERIES_MASK  0xffff0000u
#define IN_SERIES(v) (((v)&SERIES_MASK) == THE_SERIES)

/* The lengths of buffers that grow and shrink are fields too. */
#if IN_SERIES(MBEDTLS_VERSION_NUMBER) && defined(MBEDTLS_VERSION_C) &&                             \
    !defined(MBEDTLS_SSL_VARIABLE_BUFFER_LENGTH)

bool pc_tls_can_park(void)
{
    return IN_SERIES(mbedtls_version_get_number());
}

struct pointers {
    unsigned char **at[PC_TLS_POINTERS];
    size_t count;
};

static struct pointers pointers_in(mbedtls_ssl_context *ssl)
{
    struct pointers p = {{&ssl->in_ctr, &ssl->in_hdr, &ssl->in_len, &ssl->in_iv, &ssl->in_msg}, 5};
#    ifdef MBEDTLS_SSL_DTLS_CONNECTION_ID
    p.at[p.count++] = &ssl->in_cid;
#    endif
    return p;
}

static struct pointers pointers_out(mbedtls_ssl_context *ssl)
{
    struct pointers p = {{&ssl->out_ctr, &ssl->out_hdr, &ssl->out_len, &ssl->out_iv, &ssl->out_msg},
                         5};
#    ifdef MBEDTLS_SSL_DTLS_CONNECTION_ID
    p.at[p.count++] = &ssl->out_cid;
#    endif
    return p;
}

/* False if one of them does not point to the front of the buffer: then a part of a message is in it. */
static bool at_front(struct pointers p, const unsigned char *buffer)
{
    for (size_t i = 0; i < p.count; i++)
        if (*p.at[i] < buffer || *p.at[i] - buffer > UINT8_MAX)
            return false;
    return true;
}

static void take_out(struct pointers p, unsigned char **buffer, uint8_t *where)
{
    for (size_t i = 0; i < p.count; i++) {
        where[i] = (uint8_t)(*p.at[i] - *buffer);
        *p.at[i] = NULL;
    }
    *buffer = NULL;
}

static void put_in(struct pointers p, unsigned char **buffer, unsigned char *with,
                   const uint8_t *where)
{
    *buffer = with;
    for (size_t i = 0; i < p.count; i++)
        *p.at[i] = with + where[i];
}

/* Between two records, the handshake over, and all of the last one taken. With TLS 1.3 Mbed TLS keeps the handshake's
 * secrets, but no message of it. */
static bool can_be_parked(mbedtls_ssl_context *ssl)
{
    return ssl->state == MBEDTLS_SSL_HANDSHAKE_OVER &&
           (!ssl->handshake || ssl->tls_version == MBEDTLS_SSL_VERSION_TLS1_3) &&
           ssl->in_left == 0 && ssl->in_msglen == 0 && ssl->in_hslen == 0 && !ssl->in_offt &&
           ssl->out_left == 0 && !ssl->keep_current_message && !ssl->send_alert &&
           ssl->in_ctr == ssl->in_buf && ssl->in_hdr == ssl->in_buf + NUMBER_LEN &&
           at_front(pointers_in(ssl), ssl->in_buf) && at_front(pointers_out(ssl), ssl->out_buf);
}

void pc_tls_spare_free(struct pc_tls_spare *spare)
{
    mbedtls_ssl_context with;
    mbedtls_ssl_init(&with);
    with.in_buf = spare->in;
    with.out_buf = spare->out;
    mbedtls_ssl_free(&with); /* it knows how long they are, and wipes them */
    *spare = (struct pc_tls_spare){0};
}

void pc_tls_park(mbedtls_ssl_context *ssl, struct pc_tls_parked *parked, struct pc_tls_spare *spare)
{
    if (parked->away || !can_be_parked(ssl))
        return;
    struct pc_tls_spare left = {ssl->in_buf, ssl->out_buf};
    memcpy(parked->number, ssl->in_buf, NUMBER_LEN);
    take_out(pointers_in(ssl), &ssl->in_buf, parked->in);
    take_out(pointers_out(ssl), &ssl->out_buf, parked->out);
    parked->away = true;
    if (spare->in)
        pc_tls_spare_free(&left);
    else
        *spare = left;
}

/* A new pair, of a context that only lives until it has one. */
static int make_spare(struct pc_tls_spare *spare, const mbedtls_ssl_config *config)
{
    mbedtls_ssl_context with;
    mbedtls_ssl_init(&with);
    int error = mbedtls_ssl_setup(&with, config);
    if (error == 0) {
        *spare = (struct pc_tls_spare){with.in_buf, with.out_buf};
        with.in_buf = with.out_buf = NULL;
    }
    mbedtls_ssl_free(&with);
    return error;
}

int pc_tls_unpark(mbedtls_ssl_context *ssl, struct pc_tls_parked *parked,
                  struct pc_tls_spare *spare, const mbedtls_ssl_config *config)
{
    int error = parked->away && !spare->in ? make_spare(spare, config) : 0;
    if (error || !parked->away)
        return error;
    put_in(pointers_in(ssl), &ssl->in_buf, spare->in, parked->in);
    put_in(pointers_out(ssl), &ssl->out_buf, spare->out, parked->out);
    memcpy(ssl->in_buf, parked->number, NUMBER_LEN);
    parked->away = false;
    *spare = (struct pc_tls_spare){0};
    return 0;
}

#else

bool pc_tls_can_park(void)
{
    return false;
}

void pc_tls_spare_free(struct pc_tls_spare *spare)
{
    (void)spare;
}

void pc_tls_park(mbedtls_ssl_context *ssl, struct pc_tls_parked *parked, struct pc_tls_spare *spare)
{
    (void)ssl;
    (void)parked;
    (void)spare;
}

int pc_tls_unpark(mbedtls_ssl_context *ssl, struct pc_tls_parked *parked,
                  struct pc_tls_spare *spare, const mbedtls_ssl_config *config)
{
    (void)ssl;
    (void)parked;
    (void)spare;
    (void)config;
    return 0;
}

#endif
