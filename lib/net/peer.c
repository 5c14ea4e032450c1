#include "net/peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static struct pc_address from_ipv4(const struct in_addr *in)
{
    struct pc_address address = {.len = sizeof in->s_addr};
    memcpy(address.bytes, &in->s_addr, sizeof in->s_addr);
    return address;
}

static struct pc_address from_ipv6(const struct in6_addr *in)
{
    struct pc_address address = {.len = sizeof in->s6_addr};
    if (IN6_IS_ADDR_V4MAPPED(in)) {
        address.len = sizeof(struct in_addr);
        memcpy(address.bytes, in->s6_addr + 12, address.len);
    } else {
        memcpy(address.bytes, in->s6_addr, address.len);
    }
    return address;
}

void pc_peer_describe(int fd, char *out, size_t size)
{
    union pc_sockaddr address;
    socklen_t len = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    out[0] = '\0';
    if (getpeername(fd, &address.any, &len))
        return;
    if (address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.in.sin_addr, host, sizeof host);
        snprintf(out, size, "%s:%u", host, ntohs(address.in.sin_port));
    } else if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.in6.sin6_addr, host, sizeof host);
        snprintf(out, size, "[%s]:%u", host, ntohs(address.in6.sin6_port));
    } else if (address.any.sa_family == AF_UNIX) {
        snprintf(out, size, "unix:");
    }
}

struct pc_address pc_peer_address(int fd)
{
    union pc_sockaddr address;
    socklen_t len = sizeof address;
    if (getpeername(fd, &address.any, &len))
        return (struct pc_address){0};
    if (address.any.sa_family == AF_INET)
        return from_ipv4(&address.in.sin_addr);
    if (address.any.sa_family == AF_INET6)
        return from_ipv6(&address.in6.sin6_addr);
    return (struct pc_address){0};
}

/* Reads the forms that proxies write: "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80".
 * */
static struct pc_address parse(pusherc_slice text)
{
    char copy[PC_ADDRESS_STRLEN];
    struct in_addr ipv4;
    struct in6_addr ipv6;
    size_t colon = pc_slice_find(text, ':');
    pusherc_slice behind = pc_slice_skip(text, colon + (colon < text.len));
    if (text.len > 0 && text.ptr[0] == '[') {
        text = pc_slice_skip(text, 1);
        text = pc_slice_first(text, pc_slice_find(text, ']'));
    } else if (pc_slice_find(behind, ':') == behind.len) {
        text = pc_slice_first(text, colon); /* with one colon at most, a port follows it */
    }
    if (text.len >= sizeof copy || pc_slice_find(text, '\0') < text.len)
        return (struct pc_address){0};
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, &ipv4) == 1)
        return from_ipv4(&ipv4);
    if (inet_pton(AF_INET6, copy, &ipv6) == 1)
        return from_ipv6(&ipv6);
    return (struct pc_address){0};
}

/* Treats the entries of all fields of this name as one list. Returns number `wanted`, from 0, or an empty slice;
 * *count = how many there are. */
static pusherc_slice forwarded(const struct pc_http_message *message, pusherc_slice name,
                               size_t wanted, size_t *count)
{
    pusherc_slice found = {NULL, 0};
    *count = 0;
    for (size_t i = 0; i < message->field_count; i++) {
        pusherc_slice item, list = message->fields[i].value;
        if (!pc_slice_eq_nocase(message->fields[i].name, name))
            continue;
        while (pc_http_list_next(&list, &item))
            if ((*count)++ == wanted)
                found = item;
    }
    return found;
}

struct pc_address pc_client_address(int fd, const struct pc_http_message *message,
                                    uint32_t proxy_count)
{
    struct pc_address client = {0};
    const pusherc_slice name = PC_S("X-Forwarded-For");
    size_t count = 0;
    if (proxy_count)
        forwarded(message, name, 0, &count);
    if (proxy_count && count >= proxy_count)
        client = parse(forwarded(message, name, count - proxy_count, &count));
    return client.len ? client : pc_peer_address(fd);
}

bool pc_client_speaks_tls(bool tls, const struct pc_http_message *message, uint32_t proxy_count)
{
    const pusherc_slice name = PC_S("X-Forwarded-Proto");
    size_t count = 0;
    if (proxy_count)
        forwarded(message, name, 0, &count);
    if (count == 0)
        return tls;
    /* most proxies replace the field, so that there is one entry for all of them */
    size_t wanted = count > proxy_count ? count - proxy_count : 0;
    pusherc_slice scheme = forwarded(message, name, wanted, &count);
    return pc_slice_eq_nocase(scheme, PC_S("https")) || pc_slice_eq_nocase(scheme, PC_S("wss"));
}

void pc_address_format(const struct pc_address *address, char out[PC_ADDRESS_STRLEN])
{
    out[0] = '\0';
    if (address->len)
        inet_ntop(address->len == sizeof(struct in_addr) ? AF_INET : AF_INET6, address->bytes, out,
                  PC_ADDRESS_STRLEN);
}
