/* The address of a client: of the TCP peer, or the one that trusted proxies in front of the server name. */
#ifndef PC_NET_PEER_H
#define PC_NET_PEER_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/address.h"
#include "codec/http.h"

/* The address of a socket, with a member for each family. */
union pc_sockaddr {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};

/* "address:port", IPv6 in brackets; "unix:" for a unix socket; "" = unknown. */
void pc_peer_describe(int fd, char *out, size_t size);

/* The address of the TCP peer. */
struct pc_address pc_peer_address(int fd);
/* The peer of `fd`. With proxy_count > 0: the entry at that position from the right of the request's X-Forwarded-For,
 * if it has one. */
struct pc_address pc_client_address(int fd, const struct pc_http_message *message,
                                    uint32_t proxy_count);
/* Did the client speak TLS? That is `tls`, of the socket; with proxy_count > 0 it is what the request's
 * X-Forwarded-Proto has at the same place, or in its only entry, if there is one. */
bool pc_client_speaks_tls(bool tls, const struct pc_http_message *message, uint32_t proxy_count);
/* NUL-terminated; "" = unknown. */
void pc_address_format(const struct pc_address *address, char out[PC_ADDRESS_STRLEN]);

#endif
