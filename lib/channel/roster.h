/*
 * The members of one presence channel: distinct users in the order in which they joined. A user is a member by
 * subscriptions of this process, which are counted, or because another process has the user (mirrored), or both. A user
 * who has left may stay for a while as an absent member, who keeps the last subscription's count: fanout/absence.h.
 * Under the shard's lock.
 *
 * Each subscriber of the channel gets the roster as JSON in a string of its message, so the text is kept with the escapes
 * of a string. It is written when it is first needed, is added to when a member comes, and is written anew after one has
 * left. So a newcomer among thousands costs a copy of the text, and no walk over the members.
 */
#ifndef PC_CHANNEL_ROSTER_H
#define PC_CHANNEL_ROSTER_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"

struct pc_person;

struct pc_roster_member {
    /* key: the user id; stays valid and unchanged while it is a member */
    struct pc_map_node node;
    struct pc_list in_order;
    struct pc_person *person; /* counted by the subscriptions: fanout/people.h; NULL = not */
    uint32_t subscriptions;   /* of this process; 1 if absent */
    bool mirrored,
        expelled;       /* absent, and the host or an operator has closed the user's connections */
    uint32_t grace_ms;  /* how long it may be absent */
    uint64_t told_ms;   /* when the channel was told of it */
    uint64_t leaves_ms; /* absent: when the absence ends */
    struct pc_list absent; /* of the roster; unlinked = it has subscriptions */
    pusherc_slice info;    /* JSON text of the first subscription, or as mirrored */
};

struct pc_roster {
    struct pc_map members;
    struct pc_list in_order;
    struct pc_list absent; /* in the order in which they left */
    bool absent_timer_set;
    struct pc_buf ids, hash; /* the text of all members; len 0 = not written */
};

void pc_roster_init(struct pc_roster *roster, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_roster_free(struct pc_roster *roster);

static inline size_t pc_roster_count(const struct pc_roster *roster)
{
    return roster->members.count;
}

/* Counts one more subscription of this user, until pc_roster_leave(). 0; PUSHERC_ELIMIT: the user is new and
 * there are max_members already; PUSHERC_ENOMEM. */
PC_CHECKED int pc_roster_join(struct pc_roster *roster, pusherc_slice user_id, pusherc_slice info,
                              uint32_t max_members, struct pc_roster_member **out);
/* Counts one subscription less. True if that ends the membership: the member is out of the roster and the
 * caller owns it, for pc_roster_member_free(). */
bool pc_roster_leave(struct pc_roster *roster, struct pc_roster_member *member);
/* Another process has this user. *added: the user was not a member before. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_roster_mirror(struct pc_roster *roster, pusherc_slice user_id, pusherc_slice info,
                                struct pc_roster_member **out, bool *added);
/* No other process has the user any more. True: as pc_roster_leave(). */
bool pc_roster_unmirror(struct pc_roster *roster, struct pc_roster_member *member);
struct pc_roster_member *pc_roster_find(const struct pc_roster *roster, pusherc_slice user_id);
void pc_roster_member_free(struct pc_roster *roster, struct pc_roster_member *member);

/* Appends {"presence":{"ids":[...],"hash":{...},"count":n}}, escaped as in a JSON string. 0 or PUSHERC_ENOMEM. */
PC_CHECKED int pc_roster_put(struct pc_roster *roster, struct pc_buf *out);

#endif
