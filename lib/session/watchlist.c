/* The watchlist of a sign-in (protocol section 2.13): which of its users are online, now and later. */
#include <stdio.h>

#include <pusherc/settings.h>

#include "protocol/message_out.h"
#include "session/handlers.h"
#include "session/reply.h"

/*
 * How it works. Every sign-in replaces the list: the session stops watching all, then watches each
 * id of the list once, up to max_watchlist_users. Watching is a subscription to the user's channel
 * (fanout/watch.h), which takes a number as every join does, so the status that is sent here and
 * the "online" and "offline" events that follow fit together. The status of all users goes out in
 * one message at the end; faults of the list are plain errors before it.
 *
 * With a decider (fanout/decider.h) it is asked about all of them first, and none is watched before it has decided about
 * the last one. So no event about one of them comes before the message.
 */

/* Accepts strings and integers, because lists are written by hand. False: not an id. */
static bool read_id(struct pc_json item, struct pc_buf *scratch, pusherc_slice *id)
{
    int64_t number;
    if (pc_json_i64(item, &number))
        *id = number == 0 ? PC_S("0") : item.raw; /* "-0" is 0, too */
    else if (pc_json_string(item, scratch, id))
        return false;
    return pc_user_id_valid(*id);
}

static bool is_watched(const struct pc_user_conn *conn, pusherc_slice id)
{
    if (conn->watching)
        return pc_watching_has(conn->watching, id);
    PC_LIST_EACH(l, &conn->watches)
        if (pc_slice_eq(pc_watched_id(PC_CONTAINER(l, struct pc_subscription, of_session)), id))
            return true;
    return false;
}

/* The users of the list that are watched. The ids belong to the watches. */
struct found {
    pusherc_slice online[PUSHERC_MAX_WATCHLIST_USERS], offline[PUSHERC_MAX_WATCHLIST_USERS];
    size_t online_count, offline_count;
};

/* The client would take part of the list for the whole. */
static void out_of_memory(struct pc_session *s)
{
    pc_session_close(s, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
}

/* `err`: of pc_watch(). */
static void add(struct pc_session *s, int err, struct pc_subscription *watch, bool online,
                struct found *found)
{
    if (err) {
        out_of_memory(s);
        return;
    }
    pc_list_push_back(&s->as_signed_in->watches, &watch->of_session);
    if (online)
        found->online[found->online_count++] = pc_watched_id(watch);
    else
        found->offline[found->offline_count++] = pc_watched_id(watch);
}

static void say_state(struct pc_session *s, const struct found *found)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    if (found->online_count + found->offline_count == 0 || s->state != PC_SESSION_OPEN)
        return;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_watchlist(&message, found->online, found->online_count, found->offline,
                     found->offline_count);
    pc_session_say(s, &message);
}

/* The decider has let the session in. */
static void watch_all(struct pc_session *s)
{
    struct pc_watching *watching = s->as_signed_in->watching;
    struct found found = {.online_count = 0};
    s->as_signed_in->watching = NULL;
    while (watching->count > 0 && s->state == PC_SESSION_OPEN) {
        struct pc_subscription *watch;
        bool online;
        int err = pc_watching_begin(watching, &watch, &online);
        add(s, err, watch, online, &found);
    }
    pc_watching_abandon(watching);
    pc_free(s->worker->mem, watching);
    say_state(s, &found);
}

static void on_decided(void *session)
{
    watch_all(session);
}

/* False: out of memory. */
static bool ask_first(struct pc_session *s)
{
    struct pc_watching *watching = pc_alloc(s->worker->mem, sizeof *watching);
    if (watching)
        pc_watching_init(watching, s->worker, s->app, s->q, on_decided, s);
    s->as_signed_in->watching = watching;
    return watching != NULL;
}

/* What a walk over the list finds. */
struct walk {
    size_t count; /* of different ids */
    bool invalid, too_many;
};

static void watch_one(struct pc_session *s, pusherc_slice id, struct walk *walk,
                      struct found *found)
{
    struct pc_watching *watching = s->as_signed_in->watching;
    struct pc_subscription *watch;
    bool online;
    if (walk->count == s->app->options.max_watchlist_users) {
        walk->too_many = true;
        return;
    }
    walk->count++;
    if (!watching) {
        int err = pc_watch(s->worker, s->app, s->q, id, &watch, &online);
        add(s, err, watch, online, found);
    } else if (pc_watching_add(watching, id)) {
        out_of_memory(s);
    }
}

static void walk_list(struct pc_session *s, struct pc_json watchlist, struct walk *walk,
                      struct found *found)
{
    char room[PC_USER_ID_MAX];
    struct pc_buf scratch;
    struct pc_json_iter items = pc_json_iter_of(watchlist);
    while (!walk->too_many && s->state == PC_SESSION_OPEN && pc_json_next(&items)) {
        pusherc_slice id;
        pc_buf_init_in(&scratch, s->worker->mem, sizeof room, room, sizeof room);
        if (!read_id(items.value, &scratch, &id))
            walk->invalid = true;
        else if (!is_watched(s->as_signed_in, id))
            watch_one(s, id, walk, found);
    }
}

void pc_session_watch(struct pc_session *s, struct pc_json watchlist)
{
    struct found found = {.online_count = 0};
    struct walk walk = {0};
    pc_user_conn_unwatch(s->as_signed_in);
    if (s->worker->engine->decider.begin && !ask_first(s)) {
        out_of_memory(s);
        return;
    }
    if (watchlist.type == PC_JSON_ARRAY)
        walk_list(s, watchlist, &walk, &found);
    else
        walk.invalid = watchlist.type != PC_JSON_NONE && watchlist.type != PC_JSON_NULL;
    if (walk.too_many) {
        char text[96];
        pc_app_limited(s->app, PC_APP_max_watchlist_users);
        snprintf(text, sizeof text, "The watchlist is limited to %u users: the first %u are kept",
                 s->app->options.max_watchlist_users, s->app->options.max_watchlist_users);
        pc_session_say_error(s, PC_ERROR_WATCHLIST, text);
    }
    if (walk.invalid)
        pc_session_say_error(s, PC_ERROR_PLAIN, "The watchlist must be an array of user ids");
    if (!s->as_signed_in->watching)
        say_state(s, &found);
    else if (s->as_signed_in->watching->undecided == 0)
        watch_all(s);
}
