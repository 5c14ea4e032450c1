#include "session/deferred.h"

#include <stdio.h>

#include "base/pack.h"
#include "protocol/message_out.h"
#include "session/member.h"
#include "session/reply.h"

/* At most 200 bytes of a name and PC_MAX_DENIAL of a text. */
struct deferred {
    struct pc_list link;
    pusherc_slice channel; /* in `text` */
    uint64_t due_ms;       /* when the client is told that it was refused; 0 = it has been told */
    struct pc_refusal why; /* what it is told then; `rule` and `who` are NULL */
    char text[];
};

/* Exists while there is one. */
struct pc_session_deferred {
    struct pc_list list; /* the oldest first */
    uint32_t count;
    struct pc_timer timer; /* armed while a client is to be told */
    struct pc_session *session;
};

static struct deferred *deferred_of(struct pc_list *link)
{
    return PC_CONTAINER(link, struct deferred, link);
}

/* Would the answer be another one if the client signed in? */
static bool lacks_user(const struct pc_session *s, const struct pc_refusal *why)
{
    const struct pc_identity *who = why->who ? why->who : pc_session_identity(s);
    return !s->user && pc_identity_user_id(who).len == 0 &&
           (why->reason == PUSHERC_DENIED_NO_USER || why->reason == PUSHERC_DENIED_BY_RULE);
}

/* -- the client has not signed in in time -- */

static void on_due(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_session_deferred *all = PC_CONTAINER(timer, struct pc_session_deferred, timer);
    struct pc_session *s = all->session;
    PC_LIST_EACH(l, &all->list) {
        struct deferred *d = deferred_of(l);
        if (d->due_ms > now_ms) {
            pc_timer_arm(&s->worker->timers, timer, d->due_ms);
            return;
        }
        if (d->due_ms)
            pc_session_say_refused(s, d->channel, &d->why);
        d->due_ms = 0;
    }
}

/* -- what is remembered -- */

static struct pc_session_deferred *deferred_all(struct pc_session *s)
{
    if (s->deferred)
        return s->deferred;
    struct pc_session_deferred *all = pc_alloc_zero(s->worker->mem, sizeof *all);
    if (!all)
        return NULL;
    pc_list_init(&all->list);
    pc_timer_init(&all->timer, on_due);
    all->session = s;
    s->deferred = all;
    return all;
}

static void free_if_empty(struct pc_session *s)
{
    if (s->deferred && s->deferred->count == 0)
        pc_deferred_free(s);
}

static void forget(struct pc_session *s, struct deferred *d)
{
    pc_list_remove(&d->link);
    s->deferred->count--;
    pc_free(s->worker->mem, d);
}

static struct deferred *add(struct pc_session_deferred *all, pusherc_slice channel,
                            const struct pc_refusal *why)
{
    struct deferred *d =
        pc_alloc_zero(all->session->worker->mem, sizeof *d + channel.len + why->text.len);
    if (!d)
        return NULL;
    char *at = d->text;
    d->channel = pc_pack(&at, channel);
    d->why.reason = why->reason;
    d->why.status = why->status;
    d->why.text = pc_pack(&at, why->text);
    pc_list_push_back(&all->list, &d->link);
    all->count++;
    return d;
}

/* NULL: there is no room for it, or no memory. */
static struct deferred *remember(struct pc_session *s, pusherc_slice channel,
                                 const struct pc_refusal *why)
{
    struct pc_session_deferred *all = deferred_all(s);
    if (!all)
        return NULL;
    if (all->count >= s->app->options.max_deferred_channels) {
        pc_app_limited(s->app, PC_APP_max_deferred_channels);
        return NULL;
    }
    struct deferred *d = add(all, channel, why);
    free_if_empty(s);
    return d;
}

static void say_sign_in_first(struct pc_session *s, struct deferred *d)
{
    struct pc_timer *timer = &s->deferred->timer;
    pusherc_slice shown = d->channel;
    char text[512];
    d->due_ms = s->worker->now_ms + s->app->options.signin_wait_ms;
    if (!pc_timer_armed(timer))
        pc_timer_arm(&s->worker->timers, timer, d->due_ms);
    (void)snprintf(text, sizeof text, "Sign in first: %.*s: %.*s", (int)d->why.text.len,
                   d->why.text.ptr, (int)shown.len, shown.ptr);
    pc_session_say_error(s, PC_ERROR_PLAIN, text);
}

void pc_deferred_refuse(struct pc_session *s, pusherc_slice channel, struct pc_refusal why)
{
    bool may_wait = why.reason == PUSHERC_DENIED_NO_USER && s->app->options.signin_wait_ms;
    struct deferred *d = lacks_user(s, &why) ? remember(s, channel, &why) : NULL;
    if (d && may_wait) {
        say_sign_in_first(s, d);
        pc_session_tell_host(s, channel, &why);
    } else {
        pc_session_refuse(s, channel, why);
    }
}

/* NULL: there is none. */
static struct deferred *find(const struct pc_session *s, pusherc_slice channel)
{
    if (s->deferred)
        PC_LIST_EACH(l, &s->deferred->list)
            if (pc_slice_eq(deferred_of(l)->channel, channel))
                return deferred_of(l);
    return NULL;
}

bool pc_deferred_has(const struct pc_session *s, pusherc_slice channel)
{
    return find(s, channel) != NULL;
}

bool pc_deferred_forget(struct pc_session *s, pusherc_slice channel)
{
    struct deferred *d = find(s, channel);
    if (d) {
        forget(s, d);
        free_if_empty(s);
    }
    return d != NULL;
}

void pc_deferred_repeat(struct pc_session *s,
                        void (*again)(struct pc_session *session, const struct pc_message_in *in))
{
    struct pc_list list;
    if (!s->deferred)
        return;
    pc_list_take(&list, &s->deferred->list);
    pc_deferred_free(s);
    while (!pc_list_empty(&list)) {
        struct deferred *d = deferred_of(list.next);
        pc_list_remove(&d->link);
        const struct pc_message_in in = {.type = PC_IN_SUBSCRIBE, .channel = d->channel};
        if (s->state == PC_SESSION_OPEN)
            again(s, &in);
        pc_free(s->worker->mem, d);
    }
}

void pc_deferred_free(struct pc_session *s)
{
    struct pc_session_deferred *all = s->deferred;
    if (!all)
        return;
    pc_timer_stop(&s->worker->timers, &all->timer);
    while (!pc_list_empty(&all->list))
        forget(s, deferred_of(all->list.next));
    pc_free(s->worker->mem, all);
    s->deferred = NULL;
}
