#include "channel/roster.h"

#include <pusherc/error.h>

#include "base/pack.h"
#include "codec/json.h"

/* far above the size that member limits allow; keeps lengths in 32 bits */
#define MAX_ROSTER_JSON (64u << 20)

void pc_roster_init(struct pc_roster *roster, const struct pc_mem *mem, const uint64_t seed[2])
{
    pc_map_init(&roster->members, mem, seed);
    pc_list_init(&roster->in_order);
    pc_list_init(&roster->absent);
    roster->absent_timer_set = false;
    pc_buf_init(&roster->json, mem, MAX_ROSTER_JSON);
}

void pc_roster_free(struct pc_roster *roster)
{
    while (!pc_list_empty(&roster->in_order)) {
        struct pc_roster_member *m =
            PC_CONTAINER(roster->in_order.next, struct pc_roster_member, in_order);
        pc_list_remove(&m->in_order);
        pc_free(roster->members.mem, m);
    }
    pc_map_free(&roster->members);
    pc_buf_free(&roster->json);
}

static struct pc_roster_member *member_new(const struct pc_mem *mem, pusherc_slice user_id,
                                           pusherc_slice info)
{
    struct pc_roster_member *m = pc_alloc(mem, sizeof *m + user_id.len + info.len);
    if (!m)
        return NULL;
    char *at = (char *)(m + 1);
    m->node.key = pc_pack(&at, user_id);
    m->info = pc_pack(&at, info);
    m->subscriptions = m->grace_ms = 0;
    m->mirrored = m->expelled = false;
    m->person = NULL;
    m->told_ms = m->leaves_ms = 0;
    pc_list_init(&m->absent);
    return m;
}

struct pc_roster_member *pc_roster_find(const struct pc_roster *roster, pusherc_slice user_id)
{
    struct pc_map_node *node = pc_map_find(&roster->members, user_id);
    return node ? PC_CONTAINER(node, struct pc_roster_member, node) : NULL;
}

static int add(struct pc_roster *roster, pusherc_slice user_id, pusherc_slice info,
               struct pc_roster_member **out)
{
    struct pc_roster_member *m = member_new(roster->members.mem, user_id, info);
    *out = NULL;
    if (!m)
        return PUSHERC_ENOMEM;
    if (pc_map_insert(&roster->members, &m->node)) {
        pc_free(roster->members.mem, m);
        return PUSHERC_ENOMEM;
    }
    pc_list_push_back(&roster->in_order, &m->in_order);
    pc_buf_clear(&roster->json);
    *out = m;
    return 0;
}

/* True: no subscription and no other process has the user, so the member was taken out. */
static bool remove_if_unneeded(struct pc_roster *roster, struct pc_roster_member *member)
{
    if (member->subscriptions > 0 || member->mirrored)
        return false;
    pc_map_remove(&roster->members, &member->node);
    pc_list_remove(&member->in_order);
    pc_buf_clear(&roster->json);
    return true;
}

int pc_roster_join(struct pc_roster *roster, pusherc_slice user_id, pusherc_slice info,
                   uint32_t max_members, struct pc_roster_member **out)
{
    int err = 0;
    *out = pc_roster_find(roster, user_id);
    if (!*out)
        err = pc_roster_count(roster) >= max_members ? PUSHERC_ELIMIT
                                                     : add(roster, user_id, info, out);
    if (err == 0)
        (*out)->subscriptions++;
    return err;
}

bool pc_roster_leave(struct pc_roster *roster, struct pc_roster_member *member)
{
    member->subscriptions--;
    return remove_if_unneeded(roster, member);
}

int pc_roster_mirror(struct pc_roster *roster, pusherc_slice user_id, pusherc_slice info,
                     struct pc_roster_member **out, bool *added)
{
    *out = pc_roster_find(roster, user_id);
    *added = !*out;
    int err = *added ? add(roster, user_id, info, out) : 0;
    if (err == 0)
        (*out)->mirrored = true;
    return err;
}

bool pc_roster_unmirror(struct pc_roster *roster, struct pc_roster_member *member)
{
    member->mirrored = false;
    return remove_if_unneeded(roster, member);
}

void pc_roster_member_free(struct pc_roster *roster, struct pc_roster_member *member)
{
    pc_free(roster->members.mem, member);
}

/* The ids alone, or "id":info pairs. */
static void put_members(struct pc_buf *json, struct pc_roster *roster, bool with_info)
{
    PC_LIST_EACH(l, &roster->in_order) {
        const struct pc_roster_member *m = PC_CONTAINER(l, struct pc_roster_member, in_order);
        if (l != roster->in_order.next)
            pc_buf_put_char(json, ',');
        pc_json_put_string(json, m->node.key);
        if (with_info) {
            pc_buf_put_char(json, ':');
            pc_buf_put(json, m->info);
        }
    }
}

int pc_roster_json(struct pc_roster *roster, pusherc_slice *out)
{
    struct pc_buf *json = &roster->json;
    if (json->len == 0) {
        pc_buf_put(json, PC_S("{\"presence\":{\"ids\":["));
        put_members(json, roster, false);
        pc_buf_put(json, PC_S("],\"hash\":{"));
        put_members(json, roster, true);
        pc_buf_put(json, PC_S("},\"count\":"));
        pc_buf_put_u64(json, pc_roster_count(roster));
        pc_buf_put(json, PC_S("}}"));
    }
    int err = pc_buf_status(json);
    if (err) {
        pc_buf_free(json);
        return PUSHERC_ENOMEM;
    }
    *out = pc_buf_slice(json);
    return 0;
}
