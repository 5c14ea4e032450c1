/* The address of a client: of the TCP peer, or the one that trusted proxies in front of the server name. */
#ifndef PC_NET_PEER_H
#define PC_NET_PEER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "codec/http.h"

/* The address of a socket, with a member for each family. */
union pc_sockaddr {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

/* An address without its port. An IPv4 address that is mapped into IPv6 is stored as IPv4. */
struct pc_address {
    uint8_t len; /* 4, 16, or 0 = unknown: not an internet socket */
    uint8_t bytes[16];
};

#define PC_ADDRESS_STRLEN 46 /* of the longest address, with its NUL */

/* "address:port", IPv6 in brackets; "" = unknown. */
void pc_peer_describe(int fd, char *out, size_t size);

/* The peer of `fd`. With proxy_count > 0: the entry at that position from the right of the request's X-Forwarded-For,
 * if it has one. */
struct pc_address pc_client_address(int fd, const struct pc_http_message *message,
                                    uint32_t proxy_count);
/* Did the client speak TLS? That is `tls`, of the socket; with proxy_count > 0 it is what the request's
 * X-Forwarded-Proto has at the same place, or in its only entry, if there is one. */
bool pc_client_speaks_tls(bool tls, const struct pc_http_message *message, uint32_t proxy_count);
/* NUL-terminated; "" = unknown. */
void pc_address_format(const struct pc_address *address, char out[PC_ADDRESS_STRLEN]);
/* The part of an address that counts as one client: an IPv4 address, or a /64 of IPv6. Points into `address`; len 0 =
 * unknown. */
pusherc_slice pc_address_network(const struct pc_address *address);

#endif
