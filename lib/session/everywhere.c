#include "session/everywhere.h"

#include <pusherc/auth.h>
#include <pusherc/error.h>

#include "auth/pattern.h"
#include "auth/rules.h"
#include "fanout/everywhere.h"
#include "protocol/names.h"
#include "session/identity.h"

/*
 * An order as text: a letter, then fields, each "<bytes>:<text>". The first one is the app's id.
 *   D app socket user flags code reason     close connections; flags: s = signed in only, m = also members
 *   U app socket user channel reason        unsubscribe
 *   R app (user pattern socket anonymous)*  ask grants again
 * A socket or user that is not given is empty.
 */

#define MAX_ORDER_ID 512 /* bytes of a user id */

/* -- writing -- */

static void put_field(struct pc_buf *out, pusherc_slice text)
{
    pc_buf_put_u64(out, text.len);
    pc_buf_put_char(out, ':');
    pc_buf_put(out, text);
}

static void put_socket(struct pc_buf *out, pusherc_socket_id id)
{
    char text[PUSHERC_SOCKET_ID_STRLEN];
    bool given = id.a || id.b;
    put_field(out, pc_slice(text, given ? pusherc_socket_id_format(id, text) : 0));
}

static void put_disconnect(struct pc_buf *out, const struct pc_app *app,
                           const struct pc_disconnect *which)
{
    char flags[2], code[PC_U64_DIGITS];
    size_t count = 0;
    if (which->signed_in)
        flags[count++] = 's';
    if (which->members)
        flags[count++] = 'm';
    pc_buf_put_char(out, 'D');
    put_field(out, app->id);
    put_socket(out, which->socket_id);
    put_field(out, which->user_id);
    put_field(out, pc_slice(flags, count));
    put_field(out, pc_slice(code, pc_format_u64(which->code, code)));
    put_field(out, which->reason);
}

static void put_change(struct pc_buf *out, const struct pc_app *app, const struct pc_change *change)
{
    pc_buf_put_char(out, change->channel.len ? 'U' : 'R');
    put_field(out, app->id);
    if (change->channel.len) {
        put_socket(out, change->socket_id);
        put_field(out, change->filter.user_id);
        put_field(out, change->channel);
        put_field(out, change->reason);
        return;
    }
    for (const struct pc_grant_filter *f = &change->filter; f; f = f->next) {
        put_field(out, f->user_id);
        put_field(out, f->pattern);
        put_socket(out, f->socket_id);
        put_field(out, f->anonymous ? PC_S("1") : PC_S(""));
    }
}

/* -- telling the others -- */

/* Frees the text. */
static int tell(struct pc_engine *engine, struct pc_buf *text, pc_everywhere_fn done,
                void *user_data)
{
    int err = pc_buf_status(text);
    if (err == 0)
        err = engine->everywhere.tell(engine->everywhere.ctx, pc_buf_slice(text), done, user_data);
    pc_buf_free(text);
    return err;
}

int pc_disconnect_everywhere(struct pc_engine *engine, const struct pc_app *app,
                             const struct pc_disconnect *which)
{
    struct pc_close_order *close;
    struct pc_buf text;
    int err = pc_disconnect_prepare(engine, which, &close);
    if (err == 0 && engine->everywhere.tell) {
        pc_buf_init(&text, &engine->mem, SIZE_MAX);
        put_disconnect(&text, app, which);
        err = tell(engine, &text, NULL, NULL);
    }
    if (err)
        pc_disconnect_drop(close);
    else
        pc_disconnect_send(close, which->app_uid);
    return err;
}

static void others_done(uint64_t kept, uint64_t revoked, uint64_t unanswered, void *user_data)
{
    struct pc_change *change = user_data;
    atomic_fetch_add_explicit(&change->kept, kept, memory_order_relaxed);
    atomic_fetch_add_explicit(&change->revoked, revoked, memory_order_relaxed);
    if (change->unanswered)
        *change->unanswered = unanswered;
    pc_change_report(change);
}

int pc_change_everywhere(const struct pc_app *app, struct pc_change *change)
{
    struct pc_engine *engine = change->engine;
    struct pc_buf text;
    int err = pc_change_prepare(change);
    if (err || !engine->everywhere.tell)
        return err ? err : (pc_change_go(change), 0);
    pc_buf_init(&text, &engine->mem, SIZE_MAX);
    put_change(&text, app, change);
    if (change->done) {
        atomic_fetch_add(&change->open, 1); /* reported by the others */
        err = tell(engine, &text, others_done, change);
    } else {
        err = tell(engine, &text, NULL, NULL);
    }
    if (err)
        pc_change_drop(change);
    else
        pc_change_go(change);
    return err;
}

/* -- obeying -- */

/* Cuts the next field off. */
static bool next_field(pusherc_slice *rest, size_t most, pusherc_slice *out)
{
    uint64_t len;
    size_t colon = pc_slice_find(*rest, ':');
    if (colon == rest->len || !pc_slice_to_u64(pc_slice_first(*rest, colon), &len))
        return false;
    *rest = pc_slice_skip(*rest, colon + 1);
    if (len > rest->len || len > most)
        return false;
    *out = pc_slice_first(*rest, (size_t)len);
    *rest = pc_slice_skip(*rest, (size_t)len);
    return pc_utf8_valid(*out);
}

static bool next_socket(pusherc_slice *rest, pusherc_socket_id *out)
{
    pusherc_slice text;
    *out = (pusherc_socket_id){0, 0};
    return next_field(rest, PUSHERC_SOCKET_ID_STRLEN, &text) &&
           (text.len == 0 || pusherc_socket_id_parse(text, out) == 0);
}

/* Exactly one of the two says who is meant. */
static bool next_whom(pusherc_slice *rest, pusherc_socket_id *socket, pusherc_slice *user)
{
    if (!next_socket(rest, socket) || !next_field(rest, MAX_ORDER_ID, user))
        return false;
    return (socket->a || socket->b) != (user->len > 0);
}

static int obey_disconnect(struct pc_engine *engine, const struct pc_app *app, pusherc_slice rest)
{
    struct pc_disconnect which = {.app_uid = app->state->uid};
    pusherc_slice flags, code;
    uint64_t number;
    if (!next_whom(&rest, &which.socket_id, &which.user_id) || !next_field(&rest, 2, &flags) ||
        !next_field(&rest, 4, &code) || !next_field(&rest, SIZE_MAX, &which.reason) || rest.len ||
        !pc_slice_to_u64(code, &number) || (number != 1000 && (number < 4000 || number > 4999)))
        return PUSHERC_EPROTO;
    which.signed_in = pc_slice_find(flags, 's') < flags.len;
    which.members = pc_slice_find(flags, 'm') < flags.len;
    which.code = (uint16_t)number;
    return pc_disconnect(engine, &which);
}

static int obey_unsubscribe(struct pc_engine *engine, const struct pc_app *app, pusherc_slice rest)
{
    struct pc_channel_class class;
    struct pc_grant_filter before = {.app_uid = app->state->uid};
    pusherc_socket_id socket;
    pusherc_slice channel, reason;
    if (!next_whom(&rest, &socket, &before.user_id) || !next_field(&rest, SIZE_MAX, &channel) ||
        !next_field(&rest, SIZE_MAX, &reason) || rest.len ||
        !pc_channel_name_valid(channel, SIZE_MAX, &class))
        return PUSHERC_EPROTO;
    before.pattern = pc_rule_subject(channel);
    struct pc_change *change = pc_change_new(engine, &before, channel, reason);
    if (!change)
        return PUSHERC_ENOMEM;
    change->socket_id = socket;
    return pc_change_send(change);
}

static bool next_filter(pusherc_slice *rest, struct pc_grant_filter *out)
{
    pusherc_slice anonymous;
    if (!next_field(rest, PC_IDENTITY_MAX_ID, &out->user_id) ||
        !next_field(rest, PC_PATTERN_MAX, &out->pattern) || !next_socket(rest, &out->socket_id) ||
        !next_field(rest, 1, &anonymous))
        return false;
    out->anonymous = anonymous.len > 0;
    return !(out->anonymous && out->user_id.len) &&
           (out->pattern.len == 0 || pc_pattern_valid(out->pattern, NULL, NULL));
}

static int recheck(struct pc_engine *engine, const struct pc_grant_filter *filters,
                   pusherc_reauthorized_fn done, void *user_data)
{
    struct pc_change *change = pc_change_new(engine, filters, PC_S(""), PC_S(""));
    if (!change)
        return PUSHERC_ENOMEM;
    change->done = done;
    change->user_data = user_data;
    return pc_change_send(change);
}

static int obey_recheck(struct pc_engine *engine, const struct pc_app *app, pusherc_slice rest,
                        pusherc_reauthorized_fn done, void *user_data)
{
    struct pc_grant_filter filters[PUSHERC_MAX_GRANT_MATCHES];
    size_t count = 0;
    do {
        if (count == PUSHERC_MAX_GRANT_MATCHES)
            return PUSHERC_EPROTO;
        filters[count] = (struct pc_grant_filter){.app_uid = app->state->uid};
        if (!next_filter(&rest, &filters[count]))
            return PUSHERC_EPROTO;
        if (count++)
            filters[count - 2].next = &filters[count - 1];
    } while (rest.len);
    return recheck(engine, filters, done, user_data);
}

int pc_everywhere_obey(struct pc_engine *engine, pusherc_slice order, pusherc_reauthorized_fn done,
                       void *user_data)
{
    pusherc_slice rest = pc_slice_skip(order, order.len ? 1 : 0), id;
    if (!next_field(&rest, PC_APP_ID_MAX, &id))
        return PUSHERC_EPROTO;
    struct pc_app *app = pc_apps_by_id(&engine->apps, id);
    if (!app)
        return PUSHERC_ENOENT;
    int err = PUSHERC_EPROTO;
    if (order.ptr[0] == 'R')
        err = obey_recheck(engine, app, rest, done, user_data);
    else if (order.ptr[0] == 'D')
        err = obey_disconnect(engine, app, rest);
    else if (order.ptr[0] == 'U')
        err = obey_unsubscribe(engine, app, rest);
    pc_app_unref(app);
    if (err == 0 && done && order.ptr[0] != 'R')
        done(0, 0, user_data);
    return err;
}

int pc_everywhere_missed(struct pc_engine *engine)
{
    const struct pc_grant_filter all = {.app_uid = PC_ANY_APP};
    return recheck(engine, &all, NULL, NULL);
}
