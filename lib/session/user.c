#include "session/user.h"

#include <assert.h>

#include <pusherc/error.h>

#include "session/session.h"

#define MAX_KEY (sizeof(uint64_t) + PC_IDENTITY_MAX_ID) /* the app's uid and an id */

_Static_assert(PC_USER_ID_MAX <= PC_IDENTITY_MAX_ID, "a signed-in user's id fits");

struct pc_user {
    struct pc_map_node node; /* in worker->users; key: see make_key() */
    struct pc_list conns;    /* not empty */
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

static struct pc_user *find(struct pc_worker *worker, pusherc_slice key)
{
    struct pc_map_node *node = pc_map_find(&worker->users, key);
    return node ? PC_CONTAINER(node, struct pc_user, node) : NULL;
}

static struct pc_user *find_or_add(struct pc_worker *worker, pusherc_slice key)
{
    struct pc_user *user = find(worker, key);
    if (user)
        return user;
    user = pc_alloc(worker->mem, sizeof *user + key.len);
    if (!user)
        return NULL;
    memcpy(user->key, key.ptr, key.len);
    user->node.key = pc_slice(user->key, key.len);
    pc_list_init(&user->conns);
    if (pc_map_insert(&worker->users, &user->node)) {
        pc_free(worker->mem, user);
        return NULL;
    }
    return user;
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
        conn->user = find_or_add(worker, make_key(&bytes, session->app->state->uid, user_id));
        err = conn->user ? 0 : PUSHERC_ENOMEM;
    }
    if (err == 0)
        pc_list_push_back(&conn->user->conns, &conn->of_user);
    if (err == 0 && signed_in && session->app->options.watchlist_events)
        err = pc_user_came(worker, session->app, user_id, &conn->online);
    if (err) {
        pc_user_conn_free(conn);
        return err;
    }
    *out = conn;
    return 0;
}

void pc_user_conn_unwatch(struct pc_user_conn *conn)
{
    while (!pc_list_empty(&conn->watches)) {
        struct pc_subscription *watch =
            PC_CONTAINER(conn->watches.prev, struct pc_subscription, of_session);
        pc_list_remove(&watch->of_session);
        pc_unwatch(conn->session->worker, watch);
    }
}

void pc_user_conn_free(struct pc_user_conn *conn)
{
    if (!conn)
        return;
    struct pc_worker *worker = conn->session->worker;
    pc_user_conn_unwatch(conn);
    if (conn->online)
        pc_user_left(worker, conn->session->app, conn->online);
    pc_counts_drop(&conn->session->app->state->per_user, conn->counted);
    pc_list_remove(&conn->of_user);
    if (conn->user && pc_list_empty(&conn->user->conns)) {
        pc_map_remove(&worker->users, &conn->user->node);
        pc_free(worker->mem, conn->user);
    }
    pc_free(worker->mem, conn);
}

void pc_user_each(struct pc_worker *worker, uint64_t app_uid, pusherc_slice user_id,
                  pc_user_visit_fn visit, void *ctx)
{
    struct key_bytes bytes;
    struct pc_user *user = find(worker, make_key(&bytes, app_uid, user_id));
    if (!user)
        return;
    for (struct pc_list *l = user->conns.next, *next; l != &user->conns; l = next) {
        next = l->next;
        visit(PC_CONTAINER(l, struct pc_user_conn, of_user), ctx);
    }
}
