#include "net/reclaim.h"

#include <sys/socket.h>

/* How many idle sockets are looked at for one new socket; each look is a system call. */
#define LOOKS 16
/* The first bytes of a client need this long. Clients of other addresses do not push it out meanwhile. */
#define YOUNG_MS 100

/* Is it the client's turn? */
static bool is_idle(const struct pc_conn *conn)
{
    char byte;
    if (conn->write_blocked || conn->peer_left)
        return true;
    if (conn->out.count > 0)
        return false;
    if (conn->state >= PC_CONN_CLOSING)
        return true; /* what still comes from it is discarded */
    return !pc_conn_input_waits(conn) &&
           recv(conn->fd, &byte, sizeof byte, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* The connection that has to make room, of all or of one address; NULL: none has been idle for `ms`. Those that are not
 * idle go behind the others of their list, so that the next search does not meet them first. */
static struct pc_conn *find_idle(struct pc_loop *loop, struct pc_places *places,
                                 const struct pc_address_places *address, uint64_t ms)
{
    uint64_t now_ms = loop->worker->now_ms;
    for (int i = 0; i < LOOKS; i++) {
        struct pc_place *place = pc_places_oldest(places, address, now_ms);
        if (!place || now_ms - place->since_ms < ms)
            return NULL;
        if (is_idle(place->conn))
            return place->conn;
        pc_conn_update_place(place->conn);
    }
    return NULL;
}

static bool reclaim(struct pc_loop *loop, struct pc_places *places,
                    const struct pc_address_places *address, uint64_t ms)
{
    struct pc_log_about about = {.subject = "net", .topic = 1};
    struct pc_conn *conn = find_idle(loop, places, address, ms);
    if (!conn)
        return false;
    PC_LOG(&loop->engine->log, INFO, about,
           "an idle socket makes room for a new one: %u of this worker are not established clients",
           places->count);
    pc_stat_add(&loop->worker->stats.sockets_reclaimed, 1);
    pc_conn_destroy(conn);
    return true;
}

bool pc_make_room(struct pc_loop *loop, struct pc_places *places, const struct pc_address *peer)
{
    struct pc_log_about about = {.subject = "net", .topic = 1};
    char text[PC_ADDRESS_STRLEN];
    struct pc_address_places *address = pc_places_full_address(places, pc_address_network(peer));
    if (address ? reclaim(loop, places, address, 0)
                : !pc_places_full(places) || reclaim(loop, places, NULL, YOUNG_MS))
        return true;
    pc_stat_add(&loop->worker->stats.sockets_refused, 1);
    pc_address_format(peer, text);
    PC_LOG(&loop->engine->log, WARN, about,
           address ? "a new socket of %s was refused: too many sockets of this address are not "
                     "established clients; if it is a proxy, set proxy_count or "
                     "max_unestablished_per_ip"
                   : "a new socket of %s was refused: too many are not established clients; "
                     "max_unestablished may be too low",
           text);
    return false;
}

bool pc_has_room(struct pc_loop *loop, struct pc_places *places)
{
    return !pc_places_full(places) || find_idle(loop, places, NULL, YOUNG_MS);
}

bool pc_free_descriptor(struct pc_loop *loop)
{
    for (size_t i = 0; i < PC_PURPOSES; i++)
        if (reclaim(loop, &loop->places[i], NULL, PC_IDLE_MS))
            return true;
    return false;
}
