#include "channel/roster.h"

#include <pusherc/error.h>

#include "base/pack.h"
#include "codec/json.h"

/* far above the size that member limits allow; keeps lengths in 32 bits */
#define MAX_ROSTER_TEXT (64u << 20)

void pc_roster_init(struct pc_roster *roster, const struct pc_mem *mem, const uint64_t seed[2])
{
    pc_map_init(&roster->members, mem, seed);
    pc_list_init(&roster->in_order);
    pc_list_init(&roster->absent);
    roster->absent_timer_set = false;
    pc_buf_init(&roster->ids, mem, MAX_ROSTER_TEXT);
    pc_buf_init(&roster->hash, mem, MAX_ROSTER_TEXT);
}

static void drop_text(struct pc_roster *roster)
{
    pc_buf_free(&roster->ids);
    pc_buf_free(&roster->hash);
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
    drop_text(roster);
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

static void put_member(struct pc_roster *roster, const struct pc_roster_member *m)
{
    char stack[512];
    struct pc_buf json;
    pc_buf_init_in(&json, roster->members.mem, MAX_ROSTER_TEXT, stack, sizeof stack);
    if (roster->ids.len > 0) {
        pc_buf_put_char(&roster->ids, ',');
        pc_buf_put_char(&roster->hash, ',');
    }
    pc_json_put_string(&json, m->node.key);
    pc_json_put_escaped(&roster->ids, pc_buf_slice(&json));
    pc_buf_put_char(&json, ':');
    pc_buf_put(&json, m->info);
    pc_json_put_escaped(&roster->hash, pc_buf_slice(&json));
    if (pc_buf_status(&json) || pc_buf_status(&roster->ids) || pc_buf_status(&roster->hash))
        drop_text(roster);
    pc_buf_free(&json);
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
    if (roster->ids.len > 0)
        put_member(roster, m);
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
    pc_buf_clear(&roster->ids);
    pc_buf_clear(&roster->hash);
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

int pc_roster_put(struct pc_roster *roster, struct pc_buf *out)
{
    if (roster->ids.len == 0) {
        PC_LIST_EACH(l, &roster->in_order) {
            put_member(roster, PC_CONTAINER(l, struct pc_roster_member, in_order));
            if (roster->ids.len == 0)
                return PUSHERC_ENOMEM;
        }
    }
    pc_buf_put(out, PC_S("{\\\"presence\\\":{\\\"ids\\\":["));
    pc_buf_put(out, pc_buf_slice(&roster->ids));
    pc_buf_put(out, PC_S("],\\\"hash\\\":{"));
    pc_buf_put(out, pc_buf_slice(&roster->hash));
    pc_buf_put(out, PC_S("},\\\"count\\\":"));
    pc_buf_put_u64(out, pc_roster_count(roster));
    pc_buf_put(out, PC_S("}}"));
    return pc_buf_status(out);
}
