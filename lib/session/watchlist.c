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
    PC_LIST_EACH(l, &conn->watches)
        if (pc_slice_eq(pc_watched_id(PC_CONTAINER(l, struct pc_subscription, of_session)), id))
            return true;
    return false;
}

/* What a walk over the list finds. The ids belong to the watches. */
struct found {
    pusherc_slice online[PUSHERC_MAX_WATCHLIST_USERS], offline[PUSHERC_MAX_WATCHLIST_USERS];
    size_t online_count, offline_count;
    bool invalid, too_many;
};

/* Closes the session if memory is short, because the client would take part of the list for the whole. */
static void watch_one(struct pc_session *s, pusherc_slice id, struct found *found)
{
    struct pc_subscription *watch;
    bool online;
    if (found->online_count + found->offline_count == s->app->options.max_watchlist_users) {
        found->too_many = true;
    } else if (pc_watch(s->worker, s->app, s->q, id, &watch, &online)) {
        pc_session_close(s, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
    } else {
        pc_list_push_back(&s->as_signed_in->watches, &watch->of_session);
        if (online)
            found->online[found->online_count++] = pc_watched_id(watch);
        else
            found->offline[found->offline_count++] = pc_watched_id(watch);
    }
}

static void say_state(struct pc_session *s, const struct found *found)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_watchlist(&message, found->online, found->online_count, found->offline,
                     found->offline_count);
    pc_session_say(s, &message);
}

void pc_session_watch(struct pc_session *s, struct pc_json watchlist)
{
    char room[PC_USER_ID_MAX];
    struct pc_buf scratch;
    struct found found = {.invalid = watchlist.type != PC_JSON_NONE &&
                                     watchlist.type != PC_JSON_NULL &&
                                     watchlist.type != PC_JSON_ARRAY};
    struct pc_json_iter items = pc_json_iter_of(found.invalid ? (struct pc_json){0} : watchlist);
    pc_user_conn_unwatch(s->as_signed_in);
    while (!found.too_many && s->state == PC_SESSION_OPEN && pc_json_next(&items)) {
        pusherc_slice id;
        pc_buf_init_in(&scratch, s->worker->mem, sizeof room, room, sizeof room);
        if (!read_id(items.value, &scratch, &id))
            found.invalid = true;
        else if (!is_watched(s->as_signed_in, id))
            watch_one(s, id, &found);
    }
    if (found.too_many) {
        char text[96];
        pc_app_limited(s->app, PC_APP_max_watchlist_users);
        snprintf(text, sizeof text, "The watchlist is limited to %u users: the first %u are kept",
                 s->app->options.max_watchlist_users, s->app->options.max_watchlist_users);
        pc_session_say_error(s, PC_ERROR_WATCHLIST, text);
    }
    if (found.invalid)
        pc_session_say_error(s, PC_ERROR_PLAIN, "The watchlist must be an array of user ids");
    if (found.online_count + found.offline_count > 0)
        say_state(s, &found);
}
