#include "session/user.h"

#include <assert.h>

#include <pusherc/error.h>

#include "session/seats.h"

#define MAX_KEY (sizeof(uint64_t) + PC_IDENTITY_MAX_ID) /* the app's uid and an id */

_Static_assert(PC_USER_ID_MAX <= PC_IDENTITY_MAX_ID, "a signed-in user's id fits");

/* A user with connections, or one with grants. */
struct pc_user {
    struct pc_map_node node; /* in worker->users or worker->owners; key: see make_key() */
    struct pc_list items;    /* struct pc_user_conn or pc_grant_owner, by of_user; not empty */
    char key[];
};

struct key_bytes {
    char bytes[MAX_KEY];
};

static pusherc_slice make_key(struct key_bytes *out, uint64_t app_uid, pusherc_slice user_id)
{
    assert(user_id.len > 0 && user_id.len <= PC_IDENTITY_MAX_ID);
    memcpy(out->bytes, &app_uid, sizeof app_uid);
    memcpy(out->bytes + sizeof app_uid, user_id.ptr, user_id.len);
    return pc_slice(out->bytes, sizeof app_uid + user_id.len);
}

static struct pc_user *find(const struct pc_map *users, pusherc_slice key)
{
    struct pc_map_node *node = pc_map_find(users, key);
    return node ? PC_CONTAINER(node, struct pc_user, node) : NULL;
}

/* A host may ask about an id that no user can have. */
static struct pc_user *find_of(const struct pc_map *users, uint64_t app_uid, pusherc_slice user_id)
{
    struct key_bytes bytes;
    bool fits = user_id.len > 0 && user_id.len <= PC_IDENTITY_MAX_ID;
    return fits ? find(users, make_key(&bytes, app_uid, user_id)) : NULL;
}

/* `users` is one of the worker's tables. */
static struct pc_user *find_or_add(struct pc_worker *worker, struct pc_map *users,
                                   pusherc_slice key)
{
    struct pc_user *user = find(users, key);
    if (user)
        return user;
    user = pc_alloc(worker->mem, sizeof *user + key.len);
    if (!user)
        return NULL;
    memcpy(user->key, key.ptr, key.len);
    user->node.key = pc_slice(user->key, key.len);
    pc_list_init(&user->items);
    pthread_mutex_lock(&worker->listing);
    int err = pc_map_insert(users, &user->node);
    pthread_mutex_unlock(&worker->listing);
    if (err == 0)
        return user;
    pc_free(worker->mem, user);
    return NULL;
}

static void put_in(struct pc_worker *worker, struct pc_user *user, struct pc_list *of_user)
{
    pthread_mutex_lock(&worker->listing);
    pc_list_push_back(&user->items, of_user);
    pthread_mutex_unlock(&worker->listing);
}

/* Takes an item out, and the user with the last one. The user may be NULL. */
static void take_out(struct pc_worker *worker, struct pc_map *users, struct pc_user *user,
                     struct pc_list *of_user)
{
    pthread_mutex_lock(&worker->listing);
    pc_list_remove(of_user);
    bool last = user && pc_list_empty(&user->items);
    if (last)
        pc_map_remove(users, &user->node);
    pthread_mutex_unlock(&worker->listing);
    if (last)
        pc_free(worker->mem, user);
}

/* A connection whose connect identity and sign-in name the same user counts once. */
static bool is_counted(const struct pc_user_conn *conn, pusherc_slice user_id)
{
    const struct pc_session *s = conn->session;
    return conn->signed_in && s->as_identified && pc_slice_eq(s->identity->user_id, user_id);
}

static int count(struct pc_user_conn *conn, pusherc_slice user_id)
{
    struct pc_app *app = conn->session->app;
    uint32_t max = app->options.max_connections_per_user;
    if (max == PUSHERC_NO_LIMIT || is_counted(conn, user_id))
        return 0;
    int err = pc_counts_take(&app->state->per_user, user_id, max, &conn->counted);
    if (err == PUSHERC_ELIMIT)
        pc_app_limited(app, PC_APP_max_connections_per_user);
    return err;
}

int pc_user_conn_new(struct pc_user_conn **out, struct pc_session *session, pusherc_slice user_id,
                     bool signed_in)
{
    struct pc_worker *worker = session->worker;
    struct key_bytes bytes;
    *out = NULL;
    struct pc_user_conn *conn = pc_alloc_zero(worker->mem, sizeof *conn);
    if (!conn)
        return PUSHERC_ENOMEM;
    conn->session = session;
    conn->signed_in = signed_in;
    pc_list_init(&conn->of_user);
    pc_list_init(&conn->watches);
    int err = count(conn, user_id);
    if (err == 0) {
        conn->user = find_or_add(worker, &worker->users,
                                 make_key(&bytes, session->app->state->uid, user_id));
        err = conn->user ? 0 : PUSHERC_ENOMEM;
    }
    if (err == 0)
        put_in(worker, conn->user, &conn->of_user);
    if (err == 0 && signed_in && session->app->options.watchlist_events)
        err = pc_user_came(worker, session->app, user_id, &conn->online);
    if (err == 0 && session->app->options.user_events && !is_counted(conn, user_id))
        err = pc_people_reserve(session->app, user_id, &conn->person);
    if (err == 0 && conn->counted)
        err = pc_session_take_seat(session, PC_SEAT_USER, user_id);
    if (err) {
        pc_user_conn_free(conn);
        return err;
    }
    struct pc_user_change change = {0};
    if (conn->person)
        pc_people_came(worker, session->app, conn->person, PC_PEOPLE_CONNECTION, &change);
    *out = conn;
    pc_people_tell(worker, session->app, user_id, &change);
    return 0;
}

void pc_user_conn_unwatch(struct pc_user_conn *conn)
{
    struct pc_session *s = conn->session;
    if (conn->watching) {
        pc_watching_abandon(conn->watching);
        pc_free(s->worker->mem, conn->watching);
        conn->watching = NULL;
    }
    while (!pc_list_empty(&conn->watches)) {
        struct pc_subscription *watch =
            PC_CONTAINER(conn->watches.prev, struct pc_subscription, of_session);
        pc_list_remove(&watch->of_session);
        pc_unwatch(s->worker, s->app, watch);
    }
}

static void leave_people(struct pc_user_conn *conn)
{
    const struct pc_session *s = conn->session;
    const struct pc_identity *identity = conn->signed_in ? s->user : s->identity;
    struct pc_user_change change = {0};
    pc_people_left(s->worker, s->app, conn->person, PC_PEOPLE_CONNECTION, s->expelled, &change);
    pc_people_tell(s->worker, s->app, pc_identity_user_id(identity), &change);
}

void pc_user_conn_free(struct pc_user_conn *conn)
{
    if (!conn)
        return;
    struct pc_worker *worker = conn->session->worker;
    if (conn->person)
        leave_people(conn);
    pc_user_conn_unwatch(conn);
    if (conn->online)
        pc_user_left(worker, conn->session->app, conn->online);
    pc_counts_drop(&conn->session->app->state->per_user, conn->counted);
    take_out(worker, &worker->users, conn->user, &conn->of_user);
    pc_free(worker->mem, conn);
}

void pc_user_each(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                  pc_user_visit_fn visit, void *ctx)
{
    struct pc_user *user = find_of(&worker->users, app_uid, user_id);
    if (!user)
        return;
    PC_LIST_EACH_SAFE(l, next, &user->items)
        visit(PC_CONTAINER(l, struct pc_user_conn, of_user), ctx);
}

struct visit {
    pc_user_session_fn session;
    void *ctx;
};

static void visit_once(struct pc_user_conn *conn, void *ctx)
{
    const struct visit *visit = ctx;
    const struct pc_user_conn *other = conn->session->as_identified;
    if (!conn->signed_in || !other || other->user != conn->user)
        visit->session(conn->session, visit->ctx);
}

void pc_user_each_session(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                          pc_user_session_fn visit, void *ctx)
{
    struct visit each = {visit, ctx};
    pc_user_each(worker, app_uid, user_id, visit_once, &each);
}

/* -- grants with an identity of their own -- */

int pc_grant_owner_new(struct pc_grant_owner **out, struct pc_worker *worker, uint64_t app_uid,
                       struct pc_grant *grant, struct pc_identity *identity)
{
    struct key_bytes bytes;
    struct pc_grant_owner *owner = pc_alloc_zero(worker->mem, sizeof *owner);
    *out = NULL;
    if (!owner)
        return PUSHERC_ENOMEM;
    owner->grant = grant;
    pc_list_init(&owner->of_user);
    if (identity->user_id.len) {
        owner->user =
            find_or_add(worker, &worker->owners, make_key(&bytes, app_uid, identity->user_id));
        if (!owner->user) {
            pc_free(worker->mem, owner);
            return PUSHERC_ENOMEM;
        }
        put_in(worker, owner->user, &owner->of_user);
    }
    owner->identity = identity;
    pc_identity_ref(identity);
    *out = owner;
    return 0;
}

void pc_grant_owner_free(struct pc_worker *worker, struct pc_grant_owner *owner)
{
    if (!owner)
        return;
    take_out(worker, &worker->owners, owner->user, &owner->of_user);
    pc_identity_unref(owner->identity);
    pc_free(worker->mem, owner);
}

void pc_user_each_grant(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                        pc_user_grant_fn visit, void *ctx)
{
    struct pc_user *user = find_of(&worker->owners, app_uid, user_id);
    if (!user)
        return;
    /* the user is freed with its last grant */
    for (struct pc_list *l = user->items.next, *next, *end = &user->items; l != end; l = next) {
        next = l->next;
        visit(PC_CONTAINER(l, struct pc_grant_owner, of_user)->grant, ctx);
    }
}
