/*
 * What the engine should do, said as simply as possible: every session's output is predicted byte by byte, for
 * any order of operations and turns. Used by fuzz_engine.c.
 *
 * A model session has the frames that it should still write, in order. An event is posted to the mail of
 * each worker that has a subscriber; when that worker's mail is run, it goes to those who subscribed before
 * it was published and have not left.
 */
#ifndef TESTS_ENGINE_MODEL_H
#define TESTS_ENGINE_MODEL_H

#include <stdarg.h>

#include "engine_fixture.h"

#define M_SESSIONS    8
#define M_CHANNELS    6
#define M_USERS       4
#define M_MAX_TEXT    1024
#define M_ACTIVITY    30000 /* ms */
#define M_MAX_JOINED  4     /* channels of one connection */
#define M_MAX_MEMBERS 3
#define M_CACHE       1 /* the channel that keeps its last event */
#define M_CACHE_TTL_S 40

enum m_kind {
    M_PUBLIC,
    M_PRIVATE,
    M_PRESENCE,
    M_USER
};

static const struct {
    const char *name;
    enum m_kind kind;
} m_channels[M_CHANNELS] = {
    {"news", M_PUBLIC},         {"cache-sport", M_PUBLIC},  {"private-x", M_PRIVATE},
    {"presence-p", M_PRESENCE}, {"presence-q", M_PRESENCE}, {"#server-to-user-u0", M_USER},
};

struct m_frame {
    struct m_frame *next;
    int channel, user; /* of an event with a receipt; user -1 = it is none */
    unsigned number;
    size_t len; /* with the WebSocket header */
    char bytes[];
};

struct m_joined {
    int channel, user;
    uint64_t since;
};

/* A presence channel as a client library sees it: from the roster it was given and the changes it heard of. */
struct m_view {
    bool known;  /* it has its roster */
    bool missed; /* something for it was refused: it may be wrong from then on */
    bool there[M_USERS];
    int info[M_USERS];
};

struct m_session {
    bool used;
    uint32_t worker;
    int protocol;
    enum pc_session_state state;
    uint32_t joined_count;
    struct m_joined joined[M_MAX_JOINED];
    int user; /* signed in as; -1 = not signed in */
    bool expelled;
    uint64_t seen_ms, pinged_ms, due_ms, over_soft_ms;
    unsigned pings, malformed, received; /* in the second that began at received_ms */
    uint64_t received_ms;
    uint16_t close_code; /* 0 = the server sent no close */
    bool queue_closed;
    struct m_frame *first, **last;
    size_t offset, bytes; /* of the first that have been written; of all that have not */
    size_t frames;        /* that wait */
    struct m_view views[M_CHANNELS];
    struct fx_client client; /* the real one */
};

struct m_mail {
    uint64_t clock;
    int channel;
    int except; /* session, or -1 */
    char *payload;
};

struct m_worker {
    struct m_mail *mail;
    size_t mail_count, mail_cap;
};

struct m_member {
    int subscriptions, info;
    uint64_t order, told_ms;
    uint64_t absent; /* in this order; 0 = not absent */
    uint64_t leaves_ms;
};

/* A channel's timer, on the worker that set it. */
struct m_timer {
    bool set;
    uint32_t worker;
    uint64_t due_ms, order;
};

/* A user as the host was told. */
struct m_person {
    bool there, online;
    uint64_t told_ms, offline_at_ms;
};

struct m_count {
    uint64_t told, told_ms;
    bool newcomers;
    struct m_timer timer;
};

struct model {
    pusherc_server_options limits;
    uint32_t mailbox_max;
    bool drops; /* slow policy */
    uint64_t now_ms, clock;
    uint32_t worker_count;
    struct m_worker workers[FX_WORKERS];
    struct m_session sessions[M_SESSIONS];
    struct m_member members[M_CHANNELS][M_USERS];
    uint32_t grace_ms, max_received; /* 0 = no limit */
    struct m_timer absent_timers[M_CHANNELS];
    struct m_count counted[M_CHANNELS];
    struct m_person people[M_USERS];
    uint32_t offline_ms; /* offline_delay_ms, with user_events */
    uint64_t unmatched, refused;
    bool counts;           /* subscription_count_events */
    char kept[M_MAX_TEXT]; /* the message of M_CACHE; "" = none yet */
    uint64_t kept_until_ms;
};

/* All of it, or the test is wrong. */
__attribute__((format(printf, 2, 3))) static inline void m_print(char text[M_MAX_TEXT],
                                                                 const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, M_MAX_TEXT, format, args);
    va_end(args);
    REQUIRE(n >= 0 && n < M_MAX_TEXT);
}

static inline struct m_joined *m_find_joined(struct m_session *s, int channel);

/* Whom the session is for the host, on this channel; -1 = no user. */
static inline int m_user_on(struct m_session *s, int channel)
{
    const struct m_joined *joined = m_find_joined(s, channel);
    return m_channels[channel].kind == M_PRESENCE && joined ? joined->user : s->user;
}

/* Is it an event of a publisher, whose data is [number]? */
static inline void m_read_event(struct m_session *s, struct m_frame *frame, const char *payload)
{
    char name[64];
    frame->user = -1;
    if (sscanf(payload, "{\"event\":\"%*1[em]\",\"channel\":\"%63[^\"]\",\"data\":\"[%u", name,
               &frame->number) != 2)
        return;
    for (frame->channel = 0; strcmp(m_channels[frame->channel].name, name) != 0; frame->channel++)
        REQUIRE(frame->channel + 1 < M_CHANNELS);
    frame->user = m_user_on(s, frame->channel);
}

/* -- a session's queue -- */

static inline void m_push(struct m_session *s, const char *payload)
{
    size_t len = strlen(payload), header = len < 126 ? 2 : 4;
    if (s->queue_closed)
        return;
    REQUIRE(len < 65536);
    struct m_frame *frame = malloc(sizeof *frame + header + len + 1);
    REQUIRE(frame);
    frame->next = NULL;
    frame->len = header + len;
    frame->bytes[0] = (char)0x81;
    frame->bytes[1] = (char)(len < 126 ? len : 126);
    if (header == 4) {
        frame->bytes[2] = (char)(len >> 8);
        frame->bytes[3] = (char)(len & 255);
    }
    memcpy(frame->bytes + header, payload, len + 1);
    m_read_event(s, frame, payload);
    *s->last = frame;
    s->last = &frame->next;
    s->bytes += frame->len;
    s->frames++;
}

static inline void m_pop(struct m_session *s)
{
    struct m_frame *frame = s->first;
    s->first = frame->next;
    if (!s->first)
        s->last = &s->first;
    s->offset = 0;
    s->frames--;
    free(frame);
}

/* Everything of which nothing has been written. */
static inline void m_drop(struct m_session *s)
{
    struct m_frame **rest = s->offset ? &s->first->next : &s->first;
    s->last = rest;
    while (*rest) {
        struct m_frame *frame = *rest;
        *rest = frame->next;
        s->bytes -= frame->len;
        s->frames--;
        free(frame);
    }
}

static inline void m_close(struct m_session *s, uint16_t code, const char *reason)
{
    char text[M_MAX_TEXT];
    if (s->state != PC_SESSION_OPEN)
        return;
    if (s->protocol <= 5 && code >= 4000) {
        m_print(text, "{\"event\":\"pusher:error\",\"data\":{\"code\":%u,\"message\":\"%s\"}}",
                code, reason);
        m_push(s, text);
    }
    s->state = PC_SESSION_CLOSING;
    s->close_code = code;
    s->queue_closed = true;
}

/* Events may be missing from now on. */
static inline void m_miss(struct m_session *s)
{
    for (int c = 0; c < M_CHANNELS; c++)
        s->views[c].missed = true;
}

static inline void m_overflow(struct model *m, struct m_session *s)
{
    if (s->state != PC_SESSION_OPEN)
        return;
    m_miss(s);
    if (m->drops)
        return;
    m_drop(s);
    m_close(s, 4100, "Too slow: the send buffer is full");
}

static inline size_t m_held(const struct m_session *s)
{
    return s->bytes + s->frames * PC_FRAME_COST;
}

/* An answer. */
static inline void m_say(struct model *m, struct m_session *s, const char *payload)
{
    if (s->state != PC_SESSION_OPEN)
        return;
    if (m_held(s) > m->limits.out_hard_bytes)
        m_overflow(m, s);
    else
        m_push(s, payload);
}

static inline void m_say_error(struct model *m, struct m_session *s, const char *code,
                               const char *message)
{
    char text[M_MAX_TEXT];
    m_print(text, "{\"event\":\"pusher:error\",\"data\":{\"code\":%s,\"message\":\"%s\"}}", code,
            message);
    m_say(m, s, text);
}

static inline void m_refuse(struct model *m, struct m_session *s, const char *type, int status,
                            const char *channel, const char *why)
{
    char text[M_MAX_TEXT];
    m_print(text, "%s: %s", why, channel);
    m_say_error(m, s, "null", text);
    m_print(text,
            "{\"event\":\"pusher:subscription_error\",\"channel\":\"%s\",\"data\":\"{\\\"type\\\":"
            "\\\"%s\\\","
            "\\\"error\\\":\\\"%s: %s\\\",\\\"status\\\":%d}\"}",
            channel, type, why, channel, status);
    m_say(m, s, text);
}

/* An event of a channel. */
static inline void m_receive(struct model *m, struct m_session *s, const char *payload)
{
    size_t len = strlen(payload), framed = len + (len < 126 ? 2 : 4) + PC_FRAME_COST,
           hard = m->limits.out_hard_bytes;
    if (m_held(s) > (hard > framed ? hard - framed : 0))
        m_overflow(m, s);
    else
        m_push(s, payload);
}

/* -- channels -- */

static inline struct m_joined *m_find_joined(struct m_session *s, int channel)
{
    for (uint32_t i = 0; i < s->joined_count; i++)
        if (s->joined[i].channel == channel)
            return &s->joined[i];
    return NULL;
}

static inline uint64_t m_subscriptions(struct model *m, int channel, uint32_t worker)
{
    uint64_t count = 0;
    for (int i = 0; i < M_SESSIONS; i++) {
        struct m_session *s = &m->sessions[i];
        count +=
            s->used && (worker == UINT32_MAX || s->worker == worker) && m_find_joined(s, channel);
    }
    return count;
}

/* To the mail of every worker that has a subscriber; false if one of them had no room. */
static inline bool m_post(struct model *m, int channel, int except, const char *payload)
{
    bool all = true;
    m->clock++;
    for (uint32_t w = 0; w < m->worker_count; w++) {
        struct m_worker *worker = &m->workers[w];
        if (m_subscriptions(m, channel, w) == 0)
            continue;
        if (worker->mail_count >= m->mailbox_max) {
            all = false;
            m->refused++;
            for (int i = 0; i < M_SESSIONS; i++)
                if (m->sessions[i].used && m->sessions[i].worker == w)
                    m_miss(&m->sessions[i]);
            continue;
        }
        if (worker->mail_count == worker->mail_cap) {
            worker->mail_cap = worker->mail_cap * 2 + 16;
            worker->mail = realloc(worker->mail, worker->mail_cap * sizeof worker->mail[0]);
            REQUIRE(worker->mail);
        }
        char *copy = strdup(payload);
        REQUIRE(copy);
        worker->mail[worker->mail_count++] = (struct m_mail){m->clock, channel, except, copy};
    }
    return all;
}

static inline void m_run_mail(struct model *m, uint32_t w)
{
    struct m_worker *worker = &m->workers[w];
    for (size_t k = 0; k < worker->mail_count; k++) {
        struct m_mail *mail = &worker->mail[k];
        for (int i = 0; i < M_SESSIONS; i++) {
            struct m_session *s = &m->sessions[i];
            const struct m_joined *joined =
                s->used && s->worker == w ? m_find_joined(s, mail->channel) : NULL;
            if (joined && joined->since < mail->clock && i != mail->except)
                m_receive(m, s, mail->payload);
        }
        free(mail->payload);
    }
    worker->mail_count = 0;
}

/* Returns PUSHERC_EBACKLOG if the mailbox of a worker with subscribers is full. */
static inline int m_relay(struct model *m, int channel, int except, const char *payload)
{
    if (m_subscriptions(m, channel, UINT32_MAX) == 0) {
        m->unmatched++;
        return 0;
    }
    return m_post(m, channel, except, payload) ? 0 : PUSHERC_EBACKLOG;
}

/* As m_relay(), of a publisher: M_CACHE keeps it. */
static inline int m_publish(struct model *m, int channel, int except, const char *payload)
{
    if (channel == M_CACHE) {
        m_print(m->kept, "%s", payload);
        m->kept_until_ms = m->now_ms + M_CACHE_TTL_S * 1000;
    }
    return m_relay(m, channel, except, payload);
}

static inline void m_set_timer(struct model *m, struct m_timer *timer, uint32_t worker,
                               uint64_t due_ms)
{
    *timer = (struct m_timer){true, worker, due_ms, ++m->clock};
}

/* Everybody hears how many there are now. */
static inline void m_tell_count(struct model *m, int channel)
{
    char text[M_MAX_TEXT];
    uint64_t count = m_subscriptions(m, channel, UINT32_MAX);
    m_print(text,
            "{\"event\":\"pusher_internal:subscription_count\",\"channel\":\"%s\","
            "\"data\":\"{\\\"subscription_count\\\":%d}\"}",
            m_channels[channel].name, (int)count);
    m->counted[channel].told = m_post(m, channel, -1, text) ? count : 0;
    m->counted[channel].told_ms = m->now_ms;
    m->counted[channel].newcomers = false;
}

/* Tells it if it may be told, else later; also what the timer does. */
static inline void m_count(struct model *m, int channel, uint32_t worker)
{
    struct m_count *c = &m->counted[channel];
    for (int tries = 0; tries < 2; tries++) {
        uint64_t count = m_subscriptions(m, channel, UINT32_MAX);
        if (count == 0 || (c->told == count && !c->newcomers))
            return;
        if (m->now_ms >= c->told_ms + PC_GATHER_MS)
            m_tell_count(m, channel);
        else if (!c->timer.set)
            m_set_timer(m, &c->timer, worker, c->told_ms + PC_GATHER_MS);
    }
}

static inline void m_count_changed(struct model *m, int channel, uint32_t worker, bool joined)
{
    enum m_kind kind = m_channels[channel].kind;
    if (!m->counts || kind == M_PRESENCE || kind == M_USER)
        return;
    m->counted[channel].newcomers |= joined;
    m_count(m, channel, worker);
}

/* -- presence -- */

static inline bool m_is_member(const struct m_member *member)
{
    return member->subscriptions > 0 || member->absent > 0;
}

static inline int m_member_count(struct model *m, int channel)
{
    int count = 0;
    for (int u = 0; u < M_USERS; u++)
        count += m_is_member(&m->members[channel][u]);
    return count;
}

static inline void m_roster_text(struct model *m, int channel, char *text, size_t size)
{
    int order[M_USERS], count = 0;
    size_t len;
    for (int u = 0; u < M_USERS; u++) {
        int at = count;
        if (!m_is_member(&m->members[channel][u]))
            continue;
        for (; at > 0 && m->members[channel][order[at - 1]].order > m->members[channel][u].order;
             at--)
            order[at] = order[at - 1];
        order[at] = u;
        count++;
    }
    len =
        (size_t)snprintf(text, size,
                         "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"%s\","
                         "\"data\":\"{\\\"presence\\\":{\\\"ids\\\":[",
                         m_channels[channel].name);
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, "%s\\\"u%d\\\"", i ? "," : "", order[i]);
    len += (size_t)snprintf(text + len, size - len, "],\\\"hash\\\":{");
    for (int i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, size - len, "%s\\\"u%d\\\":{\\\"n\\\":%d}",
                                i ? "," : "", order[i], m->members[channel][order[i]].info);
    snprintf(text + len, size - len, "},\\\"count\\\":%d}}\"}", count);
}

/* One more of this user; false: no room for another member. Told to those who are there before. */
static inline bool m_member_join(struct model *m, int channel, int user, int info)
{
    char text[M_MAX_TEXT];
    struct m_member *member = &m->members[channel][user];
    if (!m_is_member(member) && m_member_count(m, channel) >= M_MAX_MEMBERS)
        return false;
    bool was_there = m_is_member(member);
    member->absent = 0;
    member->subscriptions++;
    if (was_there)
        return true;
    member->info = info;
    member->told_ms = m->now_ms;
    member->order = ++m->clock;
    m_print(text,
            "{\"event\":\"pusher_internal:member_added\",\"channel\":\"%s\",\"data\":\"{\\\"user_"
            "id\\\":\\\"u%d"
            "\\\",\\\"user_info\\\":{\\\"n\\\":%d}}\"}",
            m_channels[channel].name, user, info);
    m_post(m, channel, -1, text);
    return true;
}

static inline void m_tell_removed(struct model *m, int channel, int user)
{
    char text[M_MAX_TEXT];
    m_print(text,
            "{\"event\":\"pusher_internal:member_removed\",\"channel\":\"%s\",\"data\":\"{"
            "\\\"user_id\\\":\\\"u%d"
            "\\\"}\"}",
            m_channels[channel].name, user);
    m_post(m, channel, -1, text);
}

static inline void m_member_leave(struct model *m, struct m_session *s, int channel, int user)
{
    struct m_member *member = &m->members[channel][user];
    if (--member->subscriptions > 0)
        return;
    member->leaves_ms = m->now_ms + m->grace_ms;
    if (member->leaves_ms < member->told_ms + PC_GATHER_MS)
        member->leaves_ms = member->told_ms + PC_GATHER_MS;
    if (s->expelled || member->leaves_ms <= m->now_ms) {
        m_tell_removed(m, channel, user);
        return;
    }
    member->absent = ++m->clock;
    if (!m->absent_timers[channel].set)
        m_set_timer(m, &m->absent_timers[channel], s->worker, member->leaves_ms);
}

/* The absent leave whose time is up, up to the first whose is not. */
static inline void m_end_absences(struct model *m, int channel, uint32_t worker)
{
    for (;;) {
        int first = -1;
        for (int u = 0; u < M_USERS; u++) {
            struct m_member *member = &m->members[channel][u];
            if (member->absent && (first < 0 || member->absent < m->members[channel][first].absent))
                first = u;
        }
        if (first < 0)
            return;
        struct m_member *member = &m->members[channel][first];
        if (member->leaves_ms > m->now_ms) {
            m_set_timer(m, &m->absent_timers[channel], worker, member->leaves_ms);
            return;
        }
        member->absent = 0;
        m_tell_removed(m, channel, first);
    }
}

/* -- users as the host sees them -- */

static inline bool m_user_is_there(struct model *m, int user)
{
    bool there = false;
    for (int i = 0; i < M_SESSIONS; i++) {
        const struct m_session *s = &m->sessions[i];
        there |= s->used && s->state != PC_SESSION_ENDED && s->user == user;
    }
    for (int c = 0; c < M_CHANNELS; c++)
        there |= m_is_member(&m->members[c][user]);
    return there;
}

/* Call it after each operation, which happens at one time. `expelled`: it has ended a session that the host closed. */
static inline void m_judge_user(struct model *m, int user, bool expelled)
{
    struct m_person *p = &m->people[user];
    bool there = m_user_is_there(m, user);
    if (there && !p->online) {
        p->online = true;
        p->told_ms = m->now_ms;
    } else if (!there && p->there) {
        p->offline_at_ms = m->now_ms + m->offline_ms;
        if (p->offline_at_ms < p->told_ms + PC_GATHER_MS)
            p->offline_at_ms = p->told_ms + PC_GATHER_MS;
        if (expelled)
            p->offline_at_ms = m->now_ms;
    }
    p->there = there;
    if (!there && m->now_ms >= p->offline_at_ms)
        p->online = false;
}

/* -- what a client does -- */

/* One more message in this second. */
static inline bool m_may_send(struct model *m, struct m_session *s)
{
    const char *text = "Too many messages (max_received_messages_per_s)";
    if (m->max_received == 0)
        return true;
    if (m->now_ms - s->received_ms >= 1000) {
        s->received_ms = m->now_ms;
        s->received = 0;
    }
    if (s->received++ < m->max_received)
        return true;
    if (s->protocol > 5)
        m_say_error(m, s, "4100", text);
    m_close(s, 4100, text);
    return false;
}

static inline bool m_hears(struct model *m, struct m_session *s)
{
    if (s->state != PC_SESSION_OPEN)
        return false;
    s->seen_ms = m->now_ms;
    if (!m_may_send(m, s))
        return false;
    s->malformed = 0;
    return true;
}

static inline void m_subscribe(struct model *m, struct m_session *s, int channel, int user,
                               int info, bool signature)
{
    const char *name = m_channels[channel].name;
    enum m_kind kind = m_channels[channel].kind;
    char text[M_MAX_TEXT];
    if (!m_hears(m, s))
        return;
    if (m_find_joined(s, channel)) {
        m_print(text, "Existing subscription to channel %s", name);
        m_say_error(m, s, "null", text);
        return;
    }
    if (kind == M_USER && s->user != 0) {
        m_refuse(m, s, "AuthError", 403, name, "Only that user may subscribe, after signing in");
        return;
    }
    if (s->joined_count >= M_MAX_JOINED) {
        m_refuse(m, s, "LimitReached", 403, name, "Too many channels on one connection");
        return;
    }
    if ((kind == M_PRIVATE || kind == M_PRESENCE) && !signature) {
        m_refuse(m, s, "AuthError", 401, name, "Auth info required to subscribe");
        return;
    }
    if (kind == M_PRESENCE && !m_member_join(m, channel, user, info)) {
        m_refuse(m, s, "LimitReached", 403, name, "The channel has its maximum of members");
        return;
    }
    s->joined[s->joined_count++] = (struct m_joined){channel, user, ++m->clock};
    s->views[channel] = (struct m_view){.known = false};
    m_count_changed(m, channel, s->worker, true);
    if (kind == M_PRESENCE)
        m_roster_text(m, channel, text, sizeof text);
    else
        m_print(text,
                "{\"event\":\"pusher_internal:subscription_succeeded\",\"channel\":\"%s\","
                "\"data\":\"{}\"}",
                name);
    m_say(m, s, text);
    if (channel == M_CACHE)
        m_say(m, s,
              m->now_ms < m->kept_until_ms ? m->kept
                                           : "{\"event\":\"pusher:cache_miss\",\"channel\":"
                                             "\"cache-sport\",\"data\":\"{}\"}");
}

static inline void m_leave(struct model *m, struct m_session *s, struct m_joined *joined)
{
    struct m_joined left = *joined;
    size_t after = (size_t)(s->joined + s->joined_count - joined) - 1;
    memmove(joined, joined + 1, after * sizeof *joined); /* they stay in the order they came */
    s->joined_count--;
    s->views[left.channel].known = false;
    if (m_channels[left.channel].kind == M_PRESENCE)
        m_member_leave(m, s, left.channel, left.user);
    m_count_changed(m, left.channel, s->worker, false);
}

static inline void m_unsubscribe(struct model *m, struct m_session *s, int channel)
{
    char text[M_MAX_TEXT];
    if (!m_hears(m, s))
        return;
    struct m_joined *joined = m_find_joined(s, channel);
    if (joined) {
        m_leave(m, s, joined);
        return;
    }
    m_print(text, "No current subscription to channel %s, or subscription in progress",
            m_channels[channel].name);
    m_say_error(m, s, "null", text);
}

static inline void m_client_event(struct model *m, int session, int channel, unsigned number)
{
    struct m_session *s = &m->sessions[session];
    enum m_kind kind = m_channels[channel].kind;
    char text[M_MAX_TEXT];
    if (!m_hears(m, s))
        return;
    const struct m_joined *joined = m_find_joined(s, channel);
    if (kind != M_PRIVATE && kind != M_PRESENCE) {
        m_say_error(m, s, "null",
                    "Client events are only supported on private and presence channels");
        return;
    }
    if (!joined) {
        m_say_error(m, s, "null", "Client events can only be sent to subscribed channels");
        return;
    }
    char sender[32] = "";
    if (kind == M_PRESENCE)
        snprintf(sender, sizeof sender, ",\"user_id\":\"u%d\"", joined->user);
    m_print(text, "{\"event\":\"client-e\",\"channel\":\"%s\",\"data\":\"%u\"%s}",
            m_channels[channel].name, number, sender);
    if (m_relay(m, channel, session, text))
        m_say_error(m, s, "4301", "The server is overloaded");
}

/* A page says that it has shown an event. True: the session is believed. */
static inline bool m_shows(struct model *m, struct m_session *s, int channel)
{
    if (!m_hears(m, s))
        return false;
    if (m_find_joined(s, channel))
        return true;
    m_say_error(m, s, "null", "Client events can only be sent to subscribed channels");
    return false;
}

static inline void m_sign_in(struct model *m, struct m_session *s, int user)
{
    char text[M_MAX_TEXT];
    if (!m_hears(m, s))
        return;
    if (s->user >= 0 && s->user != user) {
        m_print(text, "Already signed in as another user: u%d", user);
        m_say_error(m, s, "null", text);
        return;
    }
    s->user = user;
    m_print(text,
            "{\"event\":\"pusher:signin_success\",\"data\":\"{\\\"user_data\\\":\\\"{"
            "\\\\\\\"id\\\\\\\":\\\\\\\"u%d"
            "\\\\\\\"}\\\"}\"}",
            user);
    m_say(m, s, text);
}

static inline void m_ping(struct model *m, struct m_session *s)
{
    if (m_hears(m, s))
        m_say(m, s, "{\"event\":\"pusher:pong\",\"data\":\"{}\"}");
}

static inline void m_nonsense(struct model *m, struct m_session *s)
{
    unsigned in_a_row = s->malformed;
    if (!m_hears(m, s))
        return;
    s->malformed = in_a_row + 1;
    if (s->malformed >= 100)
        m_close(s, 4100, "Too many invalid messages");
    else
        m_say_error(m, s, "null", "Invalid message format");
}

/* -- what happens by itself -- */

static inline void m_judge_soft(struct model *m, struct m_session *s)
{
    if (m_held(s) <= m->limits.out_soft_bytes)
        s->over_soft_ms = 0;
    else if (s->over_soft_ms == 0)
        s->over_soft_ms = m->now_ms;
    else if (m->now_ms - s->over_soft_ms >= m->limits.out_soft_ms && !m->drops)
        m_overflow(m, s);
}

static inline void m_liveness(struct model *m, struct m_session *s)
{
    if (s->over_soft_ms)
        m_judge_soft(m, s);
    if (s->pinged_ms && s->seen_ms >= s->pinged_ms)
        s->pinged_ms = 0;
    s->due_ms = s->seen_ms + M_ACTIVITY;
    if (s->pinged_ms) {
        if (m->now_ms - s->pinged_ms >= m->limits.pong_timeout_ms)
            m_close(s, 4201, "Pong reply not received");
        s->due_ms = s->pinged_ms + m->limits.pong_timeout_ms;
    } else if (m->now_ms - s->seen_ms >= M_ACTIVITY) {
        s->pinged_ms = m->now_ms;
        s->pings++;
        if (s->protocol >= 5)
            m_say(m, s, "{\"event\":\"pusher:ping\",\"data\":\"{}\"}");
        s->due_ms = m->now_ms + m->limits.pong_timeout_ms;
    }
    if (s->state != PC_SESSION_OPEN)
        s->due_ms = UINT64_MAX;
}

/* The timer of this worker that fires first, of those set before `order`; NULL = none is due. */
static inline struct m_timer *m_next_timer(struct model *m, uint32_t worker, uint64_t order)
{
    struct m_timer *found = NULL;
    for (int i = 0; i < 2 * M_CHANNELS; i++) {
        struct m_timer *t = i % 2 ? &m->absent_timers[i / 2] : &m->counted[i / 2].timer;
        if (!t->set || t->worker != worker || t->due_ms > m->now_ms || t->order > order)
            continue;
        uint64_t slot = t->due_ms / PC_TIMER_SLOT_MS;
        if (!found || slot < found->due_ms / PC_TIMER_SLOT_MS ||
            (slot == found->due_ms / PC_TIMER_SLOT_MS && t->order < found->order))
            found = t;
    }
    return found;
}

static inline void m_fire(struct model *m, struct m_timer *timer)
{
    timer->set = false;
    for (int c = 0; c < M_CHANNELS; c++) {
        if (timer == &m->absent_timers[c])
            m_end_absences(m, c, timer->worker);
        if (timer == &m->counted[c].timer)
            m_count(m, c, timer->worker);
    }
}

static inline void m_pass(struct model *m, uint64_t ms)
{
    m->now_ms += ms;
    for (uint32_t w = 0; w < m->worker_count; w++) {
        uint64_t before = m->clock;
        for (struct m_timer *t; (t = m_next_timer(m, w, before));)
            m_fire(m, t);
    }
    for (int i = 0; i < M_SESSIONS; i++) {
        struct m_session *s = &m->sessions[i];
        if (s->used && s->state == PC_SESSION_OPEN && s->due_ms <= m->now_ms)
            m_liveness(m, s);
    }
}

/* -- beginning and end -- */

static inline void m_open(struct model *m, struct m_session *s, uint32_t worker, int protocol)
{
    char text[M_MAX_TEXT];
    s->used = true;
    s->worker = worker;
    s->protocol = protocol;
    s->state = PC_SESSION_OPEN;
    s->user = -1;
    s->last = &s->first;
    s->seen_ms = m->now_ms;
    s->due_ms = m->now_ms + M_ACTIVITY;
    m_print(text,
            "{\"event\":\"pusher:connection_established\",\"data\":\"{\\\"socket_id\\\":\\\"%llu.%"
            "llu\\\","
            "\\\"activity_timeout\\\":%d}\"}",
            (unsigned long long)s->client.q.owner.a, (unsigned long long)s->client.q.owner.b,
            M_ACTIVITY / 1000);
    m_say(m, s, text);
}

static inline void m_end(struct model *m, struct m_session *s)
{
    while (s->joined_count)
        m_leave(m, s, &s->joined[s->joined_count - 1]);
    s->state = PC_SESSION_ENDED;
}

/* The connection is gone: its place is free, and mail on its way does not reach the next session there. */
static inline void m_remove(struct model *m, int session)
{
    struct m_session *s = &m->sessions[session];
    while (s->first)
        m_pop(s);
    for (uint32_t w = 0; w < m->worker_count; w++)
        for (size_t k = 0; k < m->workers[w].mail_count; k++)
            if (m->workers[w].mail[k].except == session)
                m->workers[w].mail[k].except = -1;
    *s = (struct m_session){.used = false};
}

static inline void m_free(struct model *m)
{
    for (uint32_t w = 0; w < FX_WORKERS; w++) {
        for (size_t k = 0; k < m->workers[w].mail_count; k++)
            free(m->workers[w].mail[k].payload);
        free(m->workers[w].mail);
    }
}

#endif
