/*
 * An account of wrong sign-ins for each client address: an address that guesses has to wait, and what it does costs
 * the others nothing.
 */
#ifndef COMMON_ATTEMPTS_H
#define COMMON_ATTEMPTS_H

#include <stdbool.h>
#include <stdint.h>

#include <pusherc/pusherc.h>

#define ATTEMPTS_ADDRESSES     256 /* remembered; above that the oldest are forgotten */
#define ATTEMPTS_ADDRESS_BYTES 8 /* of IPv6 the half that a customer of a provider cannot choose */

struct attempts {
    struct attempt {
        unsigned char address[ATTEMPTS_ADDRESS_BYTES];
        uint64_t since_s; /* of the first wrong one */
        uint32_t wrong;
        uint32_t running; /* passwords of this address that are being checked */
    } all[ATTEMPTS_ADDRESSES];
};

/* Before a password is checked: NULL, or the account to give back to attempts_end(). If the address has to wait,
 * *wait_s says how long. */
struct attempt *attempts_begin(struct attempts *attempts, pusherc_slice client_ip, uint64_t now_s,
                               uint32_t *wait_s);
void attempts_end(struct attempt *attempt, bool right, uint64_t now_s);

#endif
