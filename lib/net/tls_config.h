/*
 * A listener's TLS settings: certificates with their keys, and which of them a client gets. Only tls.c and tls_config.c
 * include this header; tls.h has the functions.
 */
#ifndef PC_NET_TLS_CONFIG_H
#define PC_NET_TLS_CONFIG_H

#include <stdatomic.h>

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/x509_crt.h>

#include "net/tls.h"

struct pc_certificate {
    struct pc_certificate *next; /* owned; in the host's order */
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
};

struct pc_tls_config {
    _Atomic uint32_t refs;
    struct pc_mem mem;
    struct pc_log *log; /* borrowed */
    mbedtls_ssl_config ssl;
    struct pc_certificate
        *certificates; /* owned; the first is for clients that name none of the others */
    mbedtls_ssl_ticket_context
        tickets; /* one key for all workers, replaced in time; locked by Mbed TLS */
    bool parks;  /* idle connections leave their record buffers */
};

/* What servers and clients of TLS have in common. Errors are PUSHERC_ETLS, with `info` filled. */

/* Loads all certificates in a file; `what` begins the error. `lenient`: those that cannot be parsed are left out, as long
 * as there is one. */
PC_CHECKED int pc_tls_load_chain(mbedtls_x509_crt *chain, const char *what, const char *file,
                                 bool lenient, pusherc_errinfo *info);
/* Loads a chain and the key of its first certificate, which are initialised. The log is told of an expired one; NULL =
 * it is not. */
PC_CHECKED int pc_tls_load_pair(struct pc_certificate *certificate,
                                const pusherc_tls_options *options, struct pc_log *log,
                                pusherc_errinfo *info);
/* TLS 1.2 and later, suites with forward secrecy, a random generator. */
void pc_tls_harden(mbedtls_ssl_config *config);

#endif
