/*
 * The ids and keys for which the host has lately said that there is no such app. It is not asked about them again for
 * unknown_app_ms. A name keeps the place that its question has in the quota of the client's address (quota.h), so a
 * client that makes up names cannot ask about more than max_unknown_apps_per_ip of them in that time. One worker.
 */
#ifndef PC_FANOUT_UNKNOWN_APPS_H
#define PC_FANOUT_UNKNOWN_APPS_H

#include "fanout/quota.h"

struct pc_unknown_apps {
    struct pc_worker *worker;
    struct pc_map by_name; /* struct pc_unknown_app */
    struct pc_list by_age; /* oldest first */
};

void pc_unknown_apps_init(struct pc_unknown_apps *apps, struct pc_worker *worker);
void pc_unknown_apps_free(struct pc_unknown_apps *apps);
/* Has the host said that there is no app with this id, or this key? */
bool pc_unknown_apps_has(struct pc_unknown_apps *apps, pusherc_slice id, pusherc_slice key);
/* It has. Takes over the question's place. Out of memory: nothing is remembered, and the place is given back. */
void pc_unknown_apps_add(struct pc_unknown_apps *apps, pusherc_slice id, pusherc_slice key,
                         struct pc_quota *quota);

#endif
