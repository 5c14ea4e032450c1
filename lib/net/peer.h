/* Whose connection it is: the TCP peer, or the client that trusted proxies in front of us name. */
#ifndef PC_NET_PEER_H
#define PC_NET_PEER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "codec/http.h"

/* The address of a socket: each family is read and written as what it is. */
union pc_sockaddr {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

/* An address without its port; an IPv4 address that came as an IPv6 one is an IPv4 address. */
struct pc_address {
    uint8_t len; /* 4, 16, or 0 = unknown: no socket of the internet */
    uint8_t bytes[16];
};

#define PC_ADDRESS_STRLEN 46 /* of the longest, with its NUL */

/* "address:port", IPv6 in brackets; "" = unknown. */
void pc_peer_describe(int fd, char *out, size_t size);

/* The peer of `fd`; with proxy_count > 0 the address that stands at this place from the right in the request's
 * X-Forwarded-For, if there is one. */
struct pc_address pc_client_address(int fd, const struct pc_http_message *message,
                                    uint32_t proxy_count);
/* Did the client speak TLS? That is `tls`, of the socket; with proxy_count > 0 it is what the request's
 * X-Forwarded-Proto has at the same place, or in its only entry, if there is one. */
bool pc_client_speaks_tls(bool tls, const struct pc_http_message *message, uint32_t proxy_count);
/* NUL-terminated; "" = unknown. */
void pc_address_format(const struct pc_address *address, char out[PC_ADDRESS_STRLEN]);
/* What counts as one client: an IPv4 address, a /64 of IPv6. Points into `address`; len 0 = unknown. */
pusherc_slice pc_address_network(const struct pc_address *address);

#endif
