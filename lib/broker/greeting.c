#include "broker/greeting.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "broadcast/redis_format.h"
#include "broker/shards.h"

#define OLDEST_MAJOR       6
#define OLDEST_MINOR       2
#define OLDEST_SHARD_MAJOR 7 /* has topics that belong to slots */

/* -- commands -- */

int pc_broker_greet(struct pc_broker_greeting *g, struct pc_buf *buf,
                    const struct pc_broker_errand *e)
{
    const pusherc_slice name[] = {PUSHERC_LIT("CLIENT"), PUSHERC_LIT("SETNAME"), e->client_name};
    const pusherc_slice info[] = {PUSHERC_LIT("INFO")};
    const pusherc_slice publish[] = {pc_broker_words(e->sharded)->publish, e->own_topic,
                                     PUSHERC_LIT("P")};
    *g = (struct pc_broker_greeting){
        .names = e->names, .partitions = e->partitions, .shas.sharded = e->sharded};
    int err = pc_redis_put_greeting(buf, e->url, &g->login);
    if (err)
        return err;
    pc_redis_put_command(buf, name, 3);
    pc_redis_put_command(buf, publish, 3);
    pc_redis_put_command(buf, info, 1);
    for (size_t i = 0; i < PC_BROKER_SCRIPTS; i++)
        pc_broker_put_script(buf, i);
    return pc_buf_status(buf);
}

void pc_broker_put_who(struct pc_buf *buf)
{
    const pusherc_slice words[] = {PUSHERC_LIT("INFO"), PUSHERC_LIT("server")};
    pc_redis_put_command(buf, words, 2);
}

/* -- errors -- */

enum pc_broker_verdict pc_broker_judge(pusherc_slice error, char *why, size_t size)
{
    static const struct {
        pusherc_slice begins;
        enum pc_broker_verdict verdict;
        const char *means;
    } rows[] = {
        {PUSHERC_LIT("NOAUTH"), PC_BROKER_UNFIT, "wants a password: "},
        {PUSHERC_LIT("WRONGPASS"), PC_BROKER_UNFIT, "refuses the user or the password: "},
        {PUSHERC_LIT("ERR AUTH"), PC_BROKER_UNFIT, "refuses the user or the password: "},
        {PUSHERC_LIT("ERR invalid password"), PC_BROKER_UNFIT, "refuses the password: "},
        {PUSHERC_LIT("ERR DB index"), PC_BROKER_UNFIT, "does not have the database: "},
        {PUSHERC_LIT("ERR SELECT is not allowed in cluster mode"), PC_BROKER_UNFIT,
         "is part of a Redis Cluster, which has database 0 only: "},
        {PUSHERC_LIT("NOPERM"), PC_BROKER_UNFIT, "does not give the user a right that is needed: "},
        {PUSHERC_LIT("ERR The user executing the script"), PC_BROKER_UNFIT,
         "does not give the user a right that is needed: "},
        {PUSHERC_LIT("READONLY"), PC_BROKER_AWAY, "is a replica: "},
        {PUSHERC_LIT("MASTERDOWN"), PC_BROKER_AWAY, "is a replica: "},
        {PUSHERC_LIT("NOSCRIPT"), PC_BROKER_AWAY, "has forgotten the scripts: "},
        {PUSHERC_LIT(""), PC_BROKER_AWAY, "answers "},
    };
    char line[PC_REDIS_LINE];
    size_t i = 0;
    while (!pc_slice_starts(error, rows[i].begins))
        i++;
    pc_redis_line(line, sizeof line, error);
    (void)snprintf(why, size, "%s%s", rows[i].means, line);
    return rows[i].verdict;
}

/* -- INFO -- */

/* The value of a line "name:value". */
static pusherc_slice value_of(pusherc_slice info, const char *name)
{
    const size_t len = strlen(name);
    while (info.len) {
        pusherc_slice line = pc_slice_first(info, pc_slice_find(info, '\n'));
        info = pc_slice_skip(info, line.len < info.len ? line.len + 1 : line.len);
        if (line.len > len && line.ptr[len] == ':' && memcmp(line.ptr, name, len) == 0) {
            pusherc_slice value = pc_slice_skip(line, len + 1);
            return pc_slice_ends(value, PC_S("\r")) ? pc_slice_first(value, value.len - 1) : value;
        }
    }
    return PC_S("");
}

/* Redis and Valkey name it differently. */
static bool is_part_of_cluster(pusherc_slice info)
{
    return pc_slice_eq(value_of(info, "redis_mode"), PC_S("cluster")) ||
           pc_slice_eq(value_of(info, "server_mode"), PC_S("cluster"));
}

static bool is_text(const struct pc_redis_reply *reply)
{
    return reply->items[0].type == PC_REDIS_STRING;
}

static bool is_old(pusherc_slice version, uint64_t oldest_major, uint64_t oldest_minor)
{
    size_t dot = pc_slice_find(version, '.');
    pusherc_slice rest = pc_slice_skip(version, dot < version.len ? dot + 1 : dot);
    uint64_t major, minor;
    return !pc_slice_to_u64(pc_slice_first(version, dot), &major) ||
           !pc_slice_to_u64(pc_slice_first(rest, pc_slice_find(rest, '.')), &minor) ||
           major < oldest_major || (major == oldest_major && minor < oldest_minor);
}

static enum pc_broker_verdict unfit(struct pc_broker_greeting *g, enum pc_broker_verdict verdict,
                                    const char *why)
{
    (void)snprintf(g->why, sizeof g->why, "%s", why);
    return verdict;
}

static enum pc_broker_verdict on_info(struct pc_broker_greeting *g,
                                      const struct pc_redis_reply *reply)
{
    pusherc_slice info = reply->items[0].text;
    if (!is_text(reply))
        return unfit(g, PC_BROKER_AWAY, "answers something else to INFO");
    pc_redis_line(g->run, sizeof g->run, value_of(info, "run_id"));
    pc_redis_line(g->version, sizeof g->version, value_of(info, "redis_version"));
    pc_redis_line(g->policy, sizeof g->policy, value_of(info, "maxmemory_policy"));
    g->evicts = pc_slice_starts(pc_slice_of(g->policy), PC_S("allkeys"));
    if (is_old(pc_slice_of(g->version), OLDEST_MAJOR, OLDEST_MINOR)) {
        (void)snprintf(g->why, sizeof g->why, "is version %s; %d.%d is the oldest that will do",
                       g->version, OLDEST_MAJOR, OLDEST_MINOR);
        return PC_BROKER_UNFIT;
    }
    bool sharded = is_part_of_cluster(info);
    if (sharded && is_old(pc_slice_of(g->version), OLDEST_SHARD_MAJOR, 0)) {
        (void)snprintf(g->why, sizeof g->why,
                       "is version %s and part of a Redis Cluster; %d.0 is the oldest that will do",
                       g->version, OLDEST_SHARD_MAJOR);
        return PC_BROKER_UNFIT;
    }
    if (sharded && !g->shas.sharded)
        return PC_BROKER_SHARDED;
    if (g->shas.sharded && !sharded)
        return unfit(g, PC_BROKER_AWAY, "is no part of a Redis Cluster any more");
    if (!pc_slice_eq(value_of(info, "role"), PC_S("master")))
        return unfit(g, PC_BROKER_AWAY, "is a replica");
    if (!*g->run)
        return unfit(g, PC_BROKER_UNFIT, "does not say its run_id in INFO");
    return PC_BROKER_MORE;
}

bool pc_broker_is_same(const struct pc_broker_greeting *g, const struct pc_redis_reply *reply)
{
    char run[sizeof g->run];
    if (!is_text(reply))
        return false;
    pc_redis_line(run, sizeof run, value_of(reply->items[0].text, "run_id"));
    return strcmp(run, g->run) == 0;
}

/* -- scripts and layout -- */

static enum pc_broker_verdict on_script(struct pc_broker_greeting *g, size_t nth,
                                        const struct pc_redis_reply *reply, struct pc_buf *buf)
{
    if (!is_text(reply) || reply->items[0].text.len != PC_BROKER_SHA)
        return unfit(g, PC_BROKER_AWAY, "answers something else to SCRIPT LOAD");
    memcpy(g->shas.text[nth], reply->items[0].text.ptr, PC_BROKER_SHA);
    if (nth + 1 < PC_BROKER_SCRIPTS)
        return PC_BROKER_MORE;
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        if (g->partitions >> i & 1 && pc_broker_put_layout(buf, g->names, &g->shas, i))
            return PC_BROKER_FAILED;
    }
    return PC_BROKER_MORE;
}

static bool is_number(const struct pc_redis_item *item, uint64_t number)
{
    uint64_t found;
    return item->type == PC_REDIS_STRING && pc_slice_to_u64(item->text, &found) && found == number;
}

/* A partition that is moving, or has moved. */
static bool belongs_elsewhere(const struct pc_broker_greeting *g,
                              const struct pc_redis_reply *reply)
{
    if (!g->shas.sharded || reply->items[0].type != PC_REDIS_ERROR)
        return false;
    switch (pc_shards_judge(g->names, reply->items[0].text, PC_S("?")).error) {
    case PC_SHARD_IS_LATE:
    case PC_SHARD_HAS_MOVED:
    case PC_SHARD_IS_UNSERVED:
        return true;
    case PC_SHARD_IS_DOWN:
    case PC_SHARD_OTHER:
        break;
    }
    return false;
}

static enum pc_broker_verdict on_layout(struct pc_broker_greeting *g,
                                        const struct pc_redis_reply *reply)
{
    g->partitions &= g->partitions - 1; /* one less */
    enum pc_broker_verdict sound = g->partitions ? PC_BROKER_MORE : PC_BROKER_DONE;
    if (belongs_elsewhere(g, reply))
        return sound; /* its first step will be sent elsewhere, or wait */
    if (reply->items[0].type == PC_REDIS_ERROR)
        return pc_broker_judge(reply->items[0].text, g->why, sizeof g->why);
    if (reply->count != 3)
        return unfit(g, PC_BROKER_AWAY, "answers something else to the first script");
    if (is_number(&reply->items[1], PC_BROKER_LAYOUT) &&
        is_number(&reply->items[2], PC_BROKER_PARTITIONS))
        return sound;
    return unfit(g, PC_BROKER_UNFIT,
                 "has data that another version of this program keeps in another form: end its "
                 "servers, or choose another prefix");
}

enum pc_broker_verdict pc_broker_greeted(struct pc_broker_greeting *g,
                                         const struct pc_redis_reply *reply, struct pc_buf *buf)
{
    uint32_t nth = g->next++;
    const uint32_t info = g->login + 2; /* behind it the scripts, then layouts */
    if (nth > info + PC_BROKER_SCRIPTS)
        return on_layout(g, reply);
    if (reply->items[0].type == PC_REDIS_ERROR && nth != g->login) /* its name does not matter */
        return pc_broker_judge(reply->items[0].text, g->why, sizeof g->why);
    if (nth < info)
        return PC_BROKER_MORE;
    return nth == info ? on_info(g, reply) : on_script(g, nth - info - 1, reply, buf);
}
