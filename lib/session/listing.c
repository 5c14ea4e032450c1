#include "session/listing.h"

#define MAX_AT_ONCE 64 /* connections visited under one lock: some 25 us */

void pc_listing_add(struct pc_session *s)
{
    s->listed.session = s;
    pthread_mutex_lock(&s->worker->listing);
    pc_list_push_back(&s->worker->listed, &s->listed.link);
    pthread_mutex_unlock(&s->worker->listing);
}

void pc_listing_remove(struct pc_session *s)
{
    pthread_mutex_lock(&s->worker->listing);
    pc_list_remove(&s->listed.link);
    pthread_mutex_unlock(&s->worker->listing);
}

/* Locked. Moves the query's place behind the next item. False: it is the last one. */
static bool advance(struct pc_worker *worker, struct pc_listed *place, const struct pc_listed **out)
{
    struct pc_list *next = place->link.next;
    if (next == &worker->listed)
        return false;
    pc_list_remove(&place->link);
    pc_list_push_back(next->next, &place->link); /* in front of the one behind */
    *out = PC_CONTAINER(next, struct pc_listed, link);
    return true;
}

/* The query keeps its place by an entry of its own, which other queries pass over. */
void pc_listing_each(struct pc_worker *worker, uint64_t app_uid, pc_listing_visit_fn visit,
                     void *ctx)
{
    struct pc_listed place = {.session = NULL};
    const struct pc_listed *item;
    bool more = true;
    pthread_mutex_lock(&worker->listing);
    pc_list_push_back(worker->listed.next, &place.link);
    while (more) {
        for (int i = 0; i < MAX_AT_ONCE && (more = advance(worker, &place, &item)); i++)
            if (item->session && item->session->app->state->uid == app_uid)
                visit(item->session, ctx);
        pthread_mutex_unlock(&worker->listing);
        pthread_mutex_lock(&worker->listing);
    }
    pc_list_remove(&place.link);
    pthread_mutex_unlock(&worker->listing);
}

struct user_query {
    pusherc_slice user_id;
    pc_listing_visit_fn visit;
    void *ctx;
};

static void visit_conn(struct pc_user_conn *conn, void *ctx)
{
    const struct user_query *query = ctx;
    const struct pc_session *s = conn->session;
    bool not_yet = conn->signed_in && !s->user; /* a sign-in that is under way */
    bool twice = conn->signed_in && pc_slice_eq(pc_identity_user_id(s->identity), query->user_id);
    if (!not_yet && !twice)
        query->visit(s, query->ctx);
}

void pc_listing_of_user(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                        pc_listing_visit_fn visit, void *ctx)
{
    struct user_query query = {user_id, visit, ctx};
    pthread_mutex_lock(&worker->listing);
    pc_user_each(worker, app_uid, user_id, visit_conn, &query);
    pthread_mutex_unlock(&worker->listing);
}
