/* The address of a client, as bytes. net/peer.h finds and prints it. */
#ifndef PC_BASE_ADDRESS_H
#define PC_BASE_ADDRESS_H

#include "base/slice.h"

/* An address without its port. An IPv4 address that is mapped into IPv6 is stored as IPv4. */
struct pc_address {
    uint8_t len; /* 4, 16, or 0 = unknown: not an internet socket */
    uint8_t bytes[16];
};

#define PC_ADDRESS_STRLEN 46 /* of the longest address, with its NUL */

/* The part of an address that counts as one client: an IPv4 address, or a /64 of IPv6, which a provider usually gives
 * to one customer. Points into `address`; len 0 = unknown. */
static inline pusherc_slice pc_address_network(const struct pc_address *address)
{
    return pc_slice((const char *)address->bytes, address->len == 16 ? 8 : address->len);
}

#endif
