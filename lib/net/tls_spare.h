/*
 * Record buffers of Mbed TLS that idle connections do without. Only tls.c and tls_spare.c include this header.
 *
 * How it works. Mbed TLS gives each connection two record buffers of 16 KiB and keeps them until its end, though between
 * two records nothing is in them but the number of the next record to come. pc_tls_park() takes both buffers out of a
 * connection that is between two records and leaves them as the loop's spare pair (the second pair that is left is
 * wiped and freed); pc_tls_unpark() puts a pair in before Mbed TLS is called. So as many pairs exist as connections are
 * in mid-handshake or in mid-record, and one.
 *
 * The buffers are private fields of Mbed TLS's context, so this is done only with the version whose fields these are,
 * 3.6, a series that keeps its binary interface: the compiler checks the headers, pc_tls_can_park() the library that
 * runs. With others each connection keeps its buffers.
 */
#ifndef PC_NET_TLS_SPARE_H
#define PC_NET_TLS_SPARE_H

#include <mbedtls/ssl.h>

#include "net/tls.h"

#define PC_TLS_POINTERS                                                                            \
    6 /* into a record buffer: number, header, connection id, length, IV, text */

/* What a connection keeps of its buffers while they are away. Zero = it has them. */
struct pc_tls_parked {
    bool away;
    unsigned char number[8];                           /* of the next record to come */
    uint8_t in[PC_TLS_POINTERS], out[PC_TLS_POINTERS]; /* where the context's pointers point */
};

bool pc_tls_can_park(void);
/* Does nothing if the connection needs what is in its buffers. Only if pc_tls_can_park(). */
void pc_tls_park(mbedtls_ssl_context *ssl, struct pc_tls_parked *parked,
                 struct pc_tls_spare *spare);
/* Does nothing if it has its buffers. `config` is that of `ssl`. 0 or Mbed TLS's error: out of memory, nothing changed. */
PC_CHECKED int pc_tls_unpark(mbedtls_ssl_context *ssl, struct pc_tls_parked *parked,
                             struct pc_tls_spare *spare, const mbedtls_ssl_config *config);

#endif
