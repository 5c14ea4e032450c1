/*
 * The users of one app, as the host sees them: who is online by connections or as a member of channels, and who was,
 * last. Each change of a user's state has a number, so that a list and the reports after it fit together. Any thread; the
 * lock is a leaf. fanout/people.h makes the changes.
 */
#ifndef PC_CHANNEL_PEOPLE_H
#define PC_CHANNEL_PEOPLE_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "base/slice.h"

struct pc_person {
    struct pc_map_node node;
    uint32_t connections, channels; /* of the user; all zero = the user is away */
    uint32_t reserved;              /* joins and connections under way that will count it */
    bool online;                    /* as the host was told last */
    bool timed;             /* a timer holds it: it ends the time in which the user may come back */
    uint64_t told_ms;       /* when the host was told that the user is online */
    uint64_t seen_ms;       /* away: when the last connection or membership ended */
    uint64_t offline_at_ms; /* away: when the host is told */
    uint64_t number;        /* of the last change of `online` */
    bool is_kept;           /* in pc_people.away: in no use, and may be forgotten */
    struct pc_list link;    /* in pc_people.here or away */
    char key[];
};

struct pc_people {
    struct pc_mem mem; /* a copy: it may outlive the server */
    pthread_mutex_t mutex;
    struct pc_map by_id;
    struct pc_list here; /* the others */
    struct pc_list away; /* who is offline and not timed, the longest first */
    uint32_t away_count;
    uint32_t online_count; /* as the host was told */
    uint64_t number;       /* of the last change */
};

void pc_people_init(struct pc_people *people, const struct pc_mem *mem, const uint64_t seed[2]);
void pc_people_free(struct pc_people *people); /* all of them are away */

/* Locked. NULL: the user is not known. */
struct pc_person *pc_people_find(const struct pc_people *people, pusherc_slice user_id);
/* Locked. The same, and makes it; not in `away`. NULL = out of memory. */
struct pc_person *pc_people_take(struct pc_people *people, pusherc_slice user_id);
/* Locked. Keeps the person in `away` if it is in no use, and forgets those who have been away longest above `max`. The
 * person may be freed. */
void pc_people_put_back(struct pc_people *people, struct pc_person *person, uint32_t max);

static inline bool pc_person_is_away(const struct pc_person *person)
{
    return person->connections == 0 && person->channels == 0;
}

#endif
