/*
 * Finds what a session has of a channel: its subscription, its grant.
 *
 * Both are lists, and most are short: they are walked, and cost a session nothing besides their links. A list that is
 * longer than PC_WALKED gets a table as well, with an entry for each of its objects, and loses it when it has become
 * short again. So a call costs about the same with ten channels and with ten thousand. The table only saves time: when
 * there is no memory for it, the list is walked.
 */
#ifndef PC_SESSION_INDEX_H
#define PC_SESSION_INDEX_H

#include "session/session.h"

/* Objects of a list without a table. With cold caches a walk over so many takes 0.3 us, and a table 0.1. */
#define PC_WALKED 8

enum pc_indexed {
    PC_INDEXED_SUBSCRIPTION = 0, /* session->subscriptions, by of_session */
    PC_INDEXED_GRANT             /* session->grants, by of_session */
};

/* The link of the channel's object; NULL: the session has none. */
struct pc_list *pc_index_find(const struct pc_session *session, enum pc_indexed what,
                              pusherc_slice channel);
/* Call it after the link was put into its list. */
void pc_index_add(struct pc_session *session, enum pc_indexed what, struct pc_list *link);
/* Call it before the link is taken out of its list. */
void pc_index_remove(struct pc_session *session, enum pc_indexed what, struct pc_list *link);
/* Call it when the session ends: its lists are walked from then on. */
void pc_index_free(struct pc_session *session);

#endif
