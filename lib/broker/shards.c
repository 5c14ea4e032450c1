#include "broker/shards.h"

#include <pusherc/error.h>

#define MIN_RANGE                                                                                  \
    3              /* items of a range: its first slot, its last one, its master; replicas follow */
#define MIN_NODE 2 /* items of a server: its host and port; more follow */

/* -- places -- */

/* A server that does not know its own name says so: then it is the one that was asked. */
static bool set_host(struct pc_shard_place *place, pusherc_slice host, pusherc_slice asked)
{
    if (host.len == 0 || pc_slice_eq(host, PC_S("?")))
        host = asked;
    if (host.len == 0 || host.len >= sizeof place->host)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        if (host.ptr[i] <= ' ' || host.ptr[i] > '~')
            return false;
    }
    memcpy(place->host, host.ptr, host.len);
    place->host[host.len] = '\0';
    return true;
}

static bool set_port(struct pc_shard_place *place, uint64_t port)
{
    place->port = (uint16_t)port;
    return port > 0 && port <= UINT16_MAX;
}

static bool is_same(const struct pc_shard_place *a, const struct pc_shard_place *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* -- CLUSTER SLOTS -- */

/* What is left to read. */
struct items {
    const struct pc_redis_item *at, *end;
};

static const struct pc_redis_item *next(struct items *items, enum pc_redis_type type)
{
    if (items->at == items->end || items->at->type != type)
        return NULL;
    return items->at++;
}

static bool next_number(struct items *items, uint64_t *out)
{
    const struct pc_redis_item *item = next(items, PC_REDIS_INTEGER);
    if (!item || item->number < 0)
        return false;
    *out = (uint64_t)item->number;
    return true;
}

/* An array of at least so many items. */
static bool next_list(struct items *items, size_t least, size_t *count)
{
    const struct pc_redis_item *item = next(items, PC_REDIS_ARRAY);
    size_t left = (size_t)(items->end - items->at);
    if (!item || item->number < 0 || (uint64_t)item->number > left)
        return false;
    *count = (size_t)item->number;
    return *count >= least;
}

/* Leaves out so many values with all that they contain. */
static bool skip(struct items *items, size_t count)
{
    for (; count > 0; count--) {
        if (items->at == items->end)
            return false;
        const struct pc_redis_item *item = items->at++;
        size_t left = (size_t)(items->end - items->at);
        if (item->type == PC_REDIS_ARRAY && item->number > 0) {
            if ((uint64_t)item->number > left)
                return false;
            count += (size_t)item->number;
        }
    }
    return true;
}

static bool next_host(struct items *items, pusherc_slice *out)
{
    const struct pc_redis_item *host = next(items, PC_REDIS_STRING);
    *out = host ? host->text : PC_S("");
    return host || next(items, PC_REDIS_NIL);
}

static bool next_place(struct items *items, pusherc_slice asked, struct pc_shard_place *out)
{
    size_t count;
    uint64_t port;
    pusherc_slice host;
    return next_list(items, MIN_NODE, &count) && next_host(items, &host) &&
           next_number(items, &port) && skip(items, count - MIN_NODE) &&
           set_host(out, host, asked) && set_port(out, port);
}

/* False: there are more masters than partitions. */
static bool find_or_add(struct pc_shards *s, const struct pc_shard_place *place, uint8_t *index)
{
    size_t i = 0;
    while (i < s->count && !is_same(&s->places[i], place))
        i++;
    if (i == PC_BROKER_PARTITIONS)
        return false;
    if (i == s->count)
        s->places[s->count++] = *place;
    *index = (uint8_t)i;
    return true;
}

static bool take_range(struct pc_shards *out, const struct pc_broker_names *names,
                       struct items *items, pusherc_slice asked)
{
    struct pc_shard_place place;
    size_t count;
    uint64_t first, last;
    if (!next_list(items, MIN_RANGE, &count) || !next_number(items, &first) ||
        !next_number(items, &last) || !next_place(items, asked, &place) ||
        !skip(items, count - MIN_RANGE))
        return false;
    for (size_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        if (names->slots[i] >= first && names->slots[i] <= last &&
            !find_or_add(out, &place, &out->of[i]))
            return false;
    }
    return true;
}

int pc_shards_parse(struct pc_shards *out, const struct pc_broker_names *names,
                    const struct pc_redis_reply *reply, pusherc_slice asked)
{
    struct items items = {reply->items, reply->items + reply->count};
    size_t ranges;
    out->count = 0;
    memset(out->of, PC_NO_SHARD, sizeof out->of);
    bool sound = next_list(&items, 0, &ranges);
    for (size_t i = 0; sound && i < ranges; i++)
        sound = take_range(out, names, &items, asked);
    return sound && items.at == items.end ? 0 : PUSHERC_EPROTO;
}

/* -- errors -- */

/* "SLOT HOST:PORT"; a host of IPv6 has colons as well. */
static bool take_place(const struct pc_broker_names *names, pusherc_slice text, pusherc_slice asked,
                       struct pc_shard_refusal *out)
{
    uint64_t slot, port;
    size_t space = pc_slice_find(text, ' ');
    if (space == text.len || !pc_slice_to_u64(pc_slice_first(text, space), &slot))
        return false;
    pusherc_slice address = pc_slice_skip(text, space + 1);
    size_t colon = address.len;
    while (colon > 0 && address.ptr[colon - 1] != ':')
        colon--;
    out->partition = pc_broker_partition_of_slot(names, slot);
    return colon > 0 && pc_slice_to_u64(pc_slice_skip(address, colon), &port) &&
           set_port(&out->place, port) &&
           set_host(&out->place, pc_slice_first(address, colon - 1), asked);
}

struct pc_shard_refusal pc_shards_judge(const struct pc_broker_names *names, pusherc_slice error,
                                        pusherc_slice asked)
{
    static const struct {
        pusherc_slice begins;
        enum pc_shard_error error;
    } rows[] = {
        {PUSHERC_LIT("MOVED "), PC_SHARD_HAS_MOVED},
        {PUSHERC_LIT("ASK "), PC_SHARD_IS_LATE},
        {PUSHERC_LIT("TRYAGAIN"), PC_SHARD_IS_LATE},
        /* A script that asks for a key that has gone ahead. */
        {PUSHERC_LIT("ERR Script attempted to access a non local key"), PC_SHARD_IS_LATE},
        {PUSHERC_LIT("CLUSTERDOWN Hash slot not served"), PC_SHARD_IS_UNSERVED},
        {PUSHERC_LIT("CLUSTERDOWN"), PC_SHARD_IS_DOWN},
        {PUSHERC_LIT(""), PC_SHARD_OTHER},
    };
    struct pc_shard_refusal out = {.partition = PC_BROKER_PARTITIONS};
    size_t i = 0;
    while (!pc_slice_starts(error, rows[i].begins))
        i++;
    out.error = rows[i].error;
    if (out.error == PC_SHARD_HAS_MOVED &&
        !take_place(names, pc_slice_skip(error, rows[i].begins.len), asked, &out))
        out.error = PC_SHARD_OTHER;
    return out;
}
