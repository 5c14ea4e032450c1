#include "session/resume.h"

#include "fanout/view.h"
#include "protocol/message_out.h"
#include "session/handlers.h"
#include "session/reply.h"
#include "session/shown.h"

struct pc_resume {
    struct pc_map points;     /* struct point, by channel; at most max_channels_per_connection */
    pusherc_socket_id former; /* of the client's last connection; zero = it has not said */
};

struct point {
    struct pc_map_node node;
    struct pc_resume_point is;
    char name[];
};

/* -- what the client says -- */

static void free_point(struct pc_map_node *node, void *ctx)
{
    struct pc_resume *resume = ctx;
    pc_map_remove(&resume->points, node);
    pc_free(resume->points.mem, PC_CONTAINER(node, struct point, node));
}

void pc_resume_free(struct pc_session *s)
{
    if (!s->resume)
        return;
    pc_map_each(&s->resume->points, free_point, s->resume);
    pc_map_free(&s->resume->points);
    pc_free(s->worker->mem, s->resume);
    s->resume = NULL;
}

/* The channel's point, which is new or to be changed. 0; PUSHERC_ELIMIT; PUSHERC_ENOMEM. */
static int find_or_add(struct pc_session *s, pusherc_slice channel, struct point **out)
{
    struct pc_map *points = &s->resume->points;
    struct pc_map_node *node = pc_map_find(points, channel);
    if (node) {
        *out = PC_CONTAINER(node, struct point, node);
        return 0;
    }
    if (points->count >= s->app->options.max_channels_per_connection)
        return PUSHERC_ELIMIT;
    struct point *point = pc_alloc_zero(s->worker->mem, sizeof *point + channel.len);
    if (!point)
        return PUSHERC_ENOMEM;
    memcpy(point->name, channel.ptr, channel.len);
    point->node.key = pc_slice(point->name, channel.len);
    if (pc_map_insert(points, &point->node)) {
        pc_free(s->worker->mem, point);
        return PUSHERC_ENOMEM;
    }
    *out = point;
    return 0;
}

/* One member of "channels". What is no name of a channel is left out: no subscribe will ask for it. */
static int note(struct pc_session *s, struct pc_json key, struct pc_json id)
{
    char stack[PC_ANY_CHANNEL_NAME_MAX];
    struct pc_buf scratch;
    struct pc_channel_class class;
    pusherc_slice channel;
    struct point *point;
    pc_buf_init_in(&scratch, s->worker->mem, sizeof stack, stack, sizeof stack);
    if (pc_json_string(key, &scratch, &channel) ||
        !pc_channel_name_valid(channel, PC_CHANNEL_NAME_MAX, &class))
        return 0;
    int err = find_or_add(s, channel, &point);
    if (err)
        return err;
    point->is = (struct pc_resume_point){.given = true};
    if (id.type == PC_JSON_STRING) /* an id of ours has no escapes */
        point->is.known = pc_position_read(pc_slice(id.raw.ptr + 1, id.raw.len - 2),
                                           &s->worker->engine->directory, &point->is.number);
    return 0;
}

static int note_all(struct pc_session *s, const struct pc_message_in *in)
{
    struct pc_json_iter each = pc_json_iter_of(in->channels);
    if (!s->resume) {
        s->resume = pc_alloc_zero(s->worker->mem, sizeof *s->resume);
        if (!s->resume)
            return PUSHERC_ENOMEM;
        pc_map_init(&s->resume->points, s->worker->mem, s->worker->engine->seed);
    }
    if (in->socket_id.len && pusherc_socket_id_parse(in->socket_id, &s->resume->former))
        s->resume->former = (pusherc_socket_id){0};
    int err = 0;
    while (err == 0 && pc_json_next(&each))
        err = note(s, each.key, each.value);
    return err;
}

void pc_session_resume(struct pc_session *s, const struct pc_message_in *in)
{
    int err = note_all(s, in);
    if (err == PUSHERC_ELIMIT) {
        pc_app_limited(s->app, PC_APP_max_channels_per_connection);
        pc_session_say_error(s, PC_ERROR_PLAIN, "Too many channels in pusher:resume");
    } else if (err) {
        pc_session_close(s, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
    }
}

bool pc_resume_awaits_join(const struct pc_session *s, pusherc_slice channel)
{
    return s->resume && pc_map_find(&s->resume->points, channel);
}

struct pc_resume_point pc_resume_take_point(struct pc_session *s, pusherc_slice channel)
{
    struct pc_resume_point is = {.given = false};
    struct pc_map_node *node = pc_map_find(&s->resume->points, channel);
    if (node) {
        is = PC_CONTAINER(node, struct point, node)->is;
        free_point(node, s->resume);
    }
    return is;
}

/* -- what the client has missed -- */

static void add_number(struct pc_session *s, struct pc_buf *message, uint64_t number)
{
    char id[PC_POSITION_LEN];
    pc_position_put(id, &s->worker->engine->directory, number);
    pc_out_add_id(message, pc_slice(id, sizeof id));
}

static void say_numbered(struct pc_session *s, struct pc_buf *message, uint64_t number)
{
    add_number(s, message, number);
    pc_session_say(s, message);
}

/* `number`: from where on the client misses nothing; NULL: there is no such number. */
static void say_lost(struct pc_session *s, pusherc_slice channel, const uint64_t *number)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_history_lost(&message, channel);
    pc_stat_add(&s->worker->stats.history_lost, 1);
    if (number)
        say_numbered(s, &message, *number);
    else
        pc_session_say(s, &message);
}

static void say_resumed(struct pc_session *s, pusherc_slice channel, uint64_t events,
                        uint64_t number)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_out_resumed(&message, channel, events);
    say_numbered(s, &message, number);
}

/* False: the subscriber's view may not see the event. */
static bool say_past(struct pc_session *s, const struct pc_join *join, const struct pc_past *past)
{
    char stack[PC_SESSION_STACK];
    struct pc_buf message;
    pc_buf_init_in(&message, s->worker->mem, SIZE_MAX, stack, sizeof stack);
    pc_render_past(s->worker->engine, join, past->event, past->data, PC_S(""), &message);
    bool seen = message.len > 0 || pc_buf_status(&message);
    if (seen) {
        add_number(s, &message, past->number);
        pc_shown_say_past(s, join, past->event, past->data, &message);
    } else {
        pc_buf_free(&message);
    }
    return seen;
}

/* An event that the publisher has excluded the client from, on this connection or on its last one. */
static bool is_its_own(const struct pc_session *s, const struct pc_past *past)
{
    return (past->except.a | past->except.b) &&
           (pc_same_id(past->except, s->q->owner) ||
            (s->resume && pc_same_id(past->except, s->resume->former)));
}

/*
 * Half of what may wait for a client is for its past: a client that asks for more would be closed as too slow, come back
 * and ask again. The rest counts as lost.
 */
bool pc_resume_replay(struct pc_session *s, const struct pc_join *join,
                      const struct pc_channel_change *change, struct pc_resume_point point)
{
    const struct pc_past_events *past = &change->past;
    const size_t room = s->worker->engine->options.out_hard_bytes / 2;
    const bool complete = point.known && pc_past_complete(past, point.number);
    uint64_t sent = 0;
    bool all = true;
    pc_stat_add(&s->worker->stats.resumes, 1);
    if (!complete)
        say_lost(s, join->channel, past->kept ? &past->floor : NULL);
    for (const struct pc_past *p = pc_past_next(past, NULL); p; p = pc_past_next(past, p)) {
        if ((complete && p->number <= point.number) || is_its_own(s, p))
            continue;
        all = s->q->held + pc_past_bytes(p) <= room && s->state == PC_SESSION_OPEN;
        if (!all)
            break;
        sent += say_past(s, join, p);
    }
    pc_stat_add(&s->worker->stats.replayed, sent);
    if (!all)
        say_lost(s, join->channel, &change->sequence);
    else if (past->kept)
        say_resumed(s, join->channel, sent, change->sequence);
    return all && (complete || past->first);
}
