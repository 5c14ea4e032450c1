#include "common/attempts.h"

#include <arpa/inet.h>
#include <string.h>

#include "common/http.h"

#define MAX_WRONG   10 /* in WINDOW_S; afterwards the address waits for its end */
#define WINDOW_S    60
#define MAX_RUNNING 4 /* at once, of one address */

/* What is no address, as a UNIX socket has none, shares an account. */
static void read_address(unsigned char out[ATTEMPTS_ADDRESS_BYTES], pusherc_slice client_ip)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char raw[sizeof(struct in6_addr)] = {0};
    http_copy(text, sizeof text, client_ip);
    if (inet_pton(AF_INET6, text, raw) != 1)
        inet_pton(AF_INET, text, raw);
    memcpy(out, raw, ATTEMPTS_ADDRESS_BYTES);
}

/* Nothing is held against the address: its account can be given away. */
static bool is_over(const struct attempt *attempt, uint64_t now_s)
{
    return attempt->running == 0 && (attempt->wrong == 0 || now_s - attempt->since_s >= WINDOW_S);
}

/* Its account; or a free one; or that of the longest ago, so that new addresses always find one. */
static struct attempt *find(struct attempts *attempts, const unsigned char *address, uint64_t now_s)
{
    struct attempt *spare = NULL;
    for (size_t i = 0; i < ATTEMPTS_ADDRESSES; i++) {
        struct attempt *one = &attempts->all[i];
        if (memcmp(one->address, address, ATTEMPTS_ADDRESS_BYTES) == 0 && !is_over(one, now_s))
            return one;
        if (is_over(one, now_s))
            *one = (struct attempt){0};
        if (one->running == 0 && (!spare || one->since_s < spare->since_s))
            spare = one;
    }
    if (spare) {
        *spare = (struct attempt){0};
        memcpy(spare->address, address, ATTEMPTS_ADDRESS_BYTES);
    }
    return spare;
}

struct attempt *attempts_begin(struct attempts *attempts, pusherc_slice client_ip, uint64_t now_s,
                               uint32_t *wait_s)
{
    unsigned char address[ATTEMPTS_ADDRESS_BYTES];
    read_address(address, client_ip);
    struct attempt *attempt = find(attempts, address, now_s);
    uint64_t age_s = attempt ? now_s - attempt->since_s : 0;
    *wait_s = 1;
    if (!attempt || attempt->running >= MAX_RUNNING)
        return NULL;
    if (attempt->wrong + attempt->running >= MAX_WRONG && age_s < WINDOW_S) {
        *wait_s = WINDOW_S - (uint32_t)age_s;
        return NULL;
    }
    if (age_s >= WINDOW_S)
        attempt->wrong = 0; /* others of that time are still running */
    attempt->running++;
    return attempt;
}

void attempts_end(struct attempt *attempt, bool right, uint64_t now_s)
{
    attempt->running--;
    if (right)
        return;
    if (attempt->wrong++ == 0)
        attempt->since_s = now_s;
}
