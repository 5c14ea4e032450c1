#include "server/inbox.h"

#include <limits.h>
#include <poll.h>
#include <stdatomic.h>

#include "base/options.h"
#include "base/pack.h"
#include "fanout/inbox.h"
#include "net/ask.h"
#include "session/app_request.h"
#include "session/auth_request.h"

#define DEFAULT_MAX_MESSAGES 65536

/* One worker's. */
struct desk {
    struct pc_messages *of;
    struct pc_lane lane;
    pusherc_hooks hooks;
};

struct pc_messages {
    struct pc_mem mem;
    pusherc_server *server;
    struct pusherc_inbox *inbox; /* counted */
    struct pc_inbox_stats stats;
    uint32_t kinds;         /* bits of pusherc_message_type */
    _Atomic uint32_t muted; /* of these, which are not put now */
    pusherc_hooks host;     /* what the host wants to be called */
    void *log_user_data;
    struct pc_letter *stopped; /* owned, until it is put: stopping needs no memory */
    uint32_t worker_count;
    struct desk desks[];
};

static bool wants(const struct pc_messages *m, pusherc_message_type type)
{
    return (m->kinds & (1u << type)) != 0;
}

/* -- notices -- */

/* A letter with copies of the message's texts behind it; the inbox frees it. */
struct notice {
    struct pc_letter letter;
    struct pusherc_inbox *inbox; /* borrowed: outlives it */
    char text[];
};

static void free_notice(struct pc_letter *letter)
{
    struct notice *notice = PC_CONTAINER(letter, struct notice, letter);
    struct pc_mem mem = notice->inbox->mem;
    pc_free(&mem, notice);
}

/* NULL = out of memory: it counts as dropped. */
static struct pc_letter *notice_new(struct pc_messages *m, const pusherc_message *from)
{
    const size_t len =
        from->app_id.len + from->channel.len + from->user_id.len + from->name.len + from->data.len;
    struct notice *notice = pc_alloc_zero(&m->inbox->mem, sizeof *notice + len);
    if (!notice) {
        pc_stat_add_shared(&m->stats.dropped, 1);
        return NULL;
    }
    char *at = notice->text;
    pusherc_message *message = &notice->letter.message;
    *message = *from;
    message->server = m->server;
    message->app_id = pc_pack(&at, from->app_id);
    message->channel = pc_pack(&at, from->channel);
    message->user_id = pc_pack(&at, from->user_id);
    message->name = pc_pack(&at, from->name);
    message->data = pc_pack(&at, from->data);
    notice->inbox = m->inbox;
    notice->letter.unwanted = free_notice;
    return &notice->letter;
}

static bool is_muted(const struct pc_messages *m, pusherc_message_type type)
{
    /* Relaxed: a host that has unmuted a notice and then asks about a channel is ordered before later changes of that
     * channel by the channel's lock. */
    return (atomic_load_explicit(&m->muted, memory_order_relaxed) & (1u << type)) != 0;
}

/* On the worker's thread. */
static void tell(struct desk *desk, pusherc_message message)
{
    if (is_muted(desk->of, message.type))
        return;
    message.user_data = desk->of->host.user_data;
    struct pc_letter *letter = notice_new(desk->of, &message);
    if (letter)
        pc_lane_add(&desk->lane, letter);
}

/* -- questions -- */

static void not_asked(struct pc_letter *letter)
{
    pc_pending_silence(PC_CONTAINER(letter, struct pc_pending, letter));
}

static void put_question(struct desk *desk, struct pc_pending *pending, pusherc_message message)
{
    struct pc_letter *letter = &pending->letter;
    letter->message = message;
    letter->message.id = pending->number;
    letter->message.server = desk->of->server;
    letter->tell_abandoned = wants(desk->of, PUSHERC_MESSAGE_ABANDONED);
    letter->unwanted = not_asked;
    pc_lane_add(&desk->lane, letter);
}

/* A question of a hook: its type and its request. */
static pusherc_message question(const struct desk *desk, pusherc_message_type type, void *request)
{
    return (pusherc_message){
        .type = type, .request = request, .user_data = desk->of->host.user_data};
}

static void identify(pusherc_identify_request *request, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->identify)
        host->identify(request, host->user_data);
    else
        put_question(desk, &request->ask.pending,
                     question(desk, PUSHERC_MESSAGE_IDENTIFY, request));
}

static void find_app(pusherc_app_request *request, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->find_app)
        host->find_app(request, host->user_data);
    else
        put_question(desk, &request->pending, question(desk, PUSHERC_MESSAGE_FIND_APP, request));
}

static void on_http(pusherc_http_request *request, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_http)
        host->on_http(request, host->user_data);
    else
        put_question(desk, &request->ask.pending, question(desk, PUSHERC_MESSAGE_HTTP, request));
}

/* As a rule's authorize_batch. */
static void put_auth_requests(pusherc_auth_request *const *requests, size_t count, void *user_data)
{
    for (size_t i = 0; i < count; i++) {
        pusherc_auth_request *r = requests[i];
        struct desk *desk = PC_CONTAINER(r->pending.worker->lane, struct desk, lane);
        const pusherc_slice param =
            r->param_count > 0 ? r->param_values[0] : pc_slice(r->channel.ptr, 0);
        put_question(desk, &r->pending,
                     (pusherc_message){.type = PUSHERC_MESSAGE_AUTHORIZE,
                                       .request = r,
                                       .user_data = user_data,
                                       .socket_id = r->socket_id,
                                       .app_id = r->app_id,
                                       .channel = r->channel,
                                       .user_id = r->user_id,
                                       .a = (uint64_t)(param.ptr - r->channel.ptr),
                                       .b = param.len});
    }
}

static void on_abandoned(uint64_t number, void *ctx)
{
    const pusherc_hooks *host = &((struct desk *)ctx)->of->host;
    host->on_abandoned(number, host->user_data);
}

/* -- reports -- */

static pusherc_message about(const pusherc_conn *conn, pusherc_message_type type)
{
    return (pusherc_message){.type = type,
                             .socket_id = pusherc_conn_socket_id(conn),
                             .app_id = pusherc_conn_app_id(conn),
                             .user_id = pusherc_conn_user_id(conn)};
}

static void tell_of_conn(struct desk *desk, const pusherc_conn *conn, pusherc_message_type type,
                         int number)
{
    pusherc_message message = about(conn, type);
    message.number = number;
    message.data = pusherc_conn_client_ip(conn);
    tell(desk, message);
}

static void on_open(const pusherc_conn *conn, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_open)
        host->on_open(conn, host->user_data);
    else
        tell_of_conn(desk, conn, PUSHERC_MESSAGE_OPEN, 0);
}

static void on_close(const pusherc_conn *conn, uint16_t close_code, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_close)
        host->on_close(conn, close_code, host->user_data);
    else
        tell_of_conn(desk, conn, PUSHERC_MESSAGE_CLOSE, close_code);
}

static void on_signin(const pusherc_conn *conn, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_signin)
        host->on_signin(conn, host->user_data);
    else
        tell_of_conn(desk, conn, PUSHERC_MESSAGE_SIGNIN, 0);
}

static int on_client_event(const pusherc_conn *conn, const pusherc_client_event *event, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_client_event)
        return host->on_client_event(conn, event, host->user_data);
    pusherc_message message = about(conn, PUSHERC_MESSAGE_CLIENT_EVENT);
    message.channel = event->channel;
    if (event->user_id.len)
        message.user_id = event->user_id;
    message.name = event->event;
    message.data = event->data;
    tell(desk, message);
    return 0;
}

static void on_channel(const pusherc_channel_event *event, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_channel)
        host->on_channel(event, host->user_data);
    else
        tell(desk, (pusherc_message){.type = PUSHERC_MESSAGE_CHANNEL,
                                     .number = (int)event->type,
                                     .app_id = event->app_id,
                                     .channel = event->channel,
                                     .user_id = event->user_id,
                                     .name = event->scope == PUSHERC_SCOPE_CLUSTER ? PC_S("cluster")
                                                                                   : PC_S(""),
                                     .a = event->subscription_count,
                                     .b = event->sequence});
}

static void on_user(const pusherc_user_event *event, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_user)
        host->on_user(event, host->user_data);
    else
        tell(desk, (pusherc_message){.type = PUSHERC_MESSAGE_USER,
                                     .number = event->online,
                                     .app_id = event->app_id,
                                     .user_id = event->user_id,
                                     .a = event->away_ms,
                                     .b = event->sequence});
}

static void on_receipt(const pusherc_receipt *receipt, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_receipt)
        host->on_receipt(receipt, host->user_data);
    else
        tell(desk, (pusherc_message){.type = PUSHERC_MESSAGE_RECEIPT,
                                     .number = (int)receipt->kind,
                                     .socket_id = receipt->socket_id,
                                     .app_id = receipt->app_id,
                                     .channel = receipt->channel,
                                     .user_id = receipt->user_id,
                                     .name = receipt->event,
                                     .data = receipt->id,
                                     .a = receipt->at_ms});
}

static void on_ephemeral_end(const pusherc_ephemeral_end *end, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_ephemeral_end)
        host->on_ephemeral_end(end, host->user_data);
    else
        tell(desk, (pusherc_message){.type = PUSHERC_MESSAGE_EPHEMERAL_END,
                                     .number = (int)end->reason,
                                     .app_id = end->app_id,
                                     .channel = end->channel,
                                     .user_id = end->user_id,
                                     .name = end->event,
                                     .data = end->data});
}

static void on_denied(const pusherc_denial *denial, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_denied)
        host->on_denied(denial, host->user_data);
    else
        tell(desk, (pusherc_message){.type = PUSHERC_MESSAGE_DENIED,
                                     .number = (int)denial->reason,
                                     .socket_id = denial->socket_id,
                                     .app_id = denial->app_id,
                                     .channel = denial->channel,
                                     .user_id = denial->user_id,
                                     .name = denial->pattern,
                                     .data = denial->detail,
                                     .a = (uint64_t)denial->status});
}

static void on_webhook_failed(const pusherc_webhook_failure *failure, void *ctx)
{
    struct desk *desk = ctx;
    const pusherc_hooks *host = &desk->of->host;
    if (host->on_webhook_failed)
        host->on_webhook_failed(failure, host->user_data);
    else
        tell(desk, (pusherc_message){.type = PUSHERC_MESSAGE_WEBHOOK_FAILED,
                                     .number = failure->last_status,
                                     .app_id = failure->app_id,
                                     .name = failure->url,
                                     .data = failure->body,
                                     .a = failure->event_count,
                                     .b = failure->attempts});
}

/* -- what any thread may report -- */

static void on_log(const pusherc_log_entry *entry, void *ctx)
{
    struct pc_messages *m = ctx;
    if (is_muted(m, PUSHERC_MESSAGE_LOG))
        return;
    const pusherc_message message = {.type = PUSHERC_MESSAGE_LOG,
                                     .number = (int)entry->level,
                                     .user_data = m->log_user_data,
                                     .socket_id = entry->socket_id,
                                     .app_id = entry->app_id,
                                     .name = pc_slice_of(entry->subject),
                                     .data = entry->message};
    struct pc_letter *letter = notice_new(m, &message);
    if (letter)
        pc_inbox_put(m->inbox, letter, false, &m->stats);
}

struct reauthorized {
    struct pc_messages *of;
    struct pc_letter *letter; /* owned */
};

bool pc_messages_want_reauthorized(const struct pc_messages *messages)
{
    return messages && wants(messages, PUSHERC_MESSAGE_REAUTHORIZED);
}

void *pc_messages_reauthorized_new(struct pc_messages *messages, void *user_data)
{
    const pusherc_message message = {.type = PUSHERC_MESSAGE_REAUTHORIZED, .user_data = user_data};
    struct reauthorized *made = pc_alloc_zero(&messages->mem, sizeof *made);
    if (!made)
        return NULL;
    made->of = messages;
    made->letter = notice_new(messages, &message);
    if (made->letter)
        return made;
    pc_free(&messages->mem, made);
    return NULL;
}

void pc_messages_reauthorized(uint64_t kept, uint64_t revoked, void *made)
{
    struct reauthorized *r = made;
    struct pc_messages *m = r->of;
    r->letter->message.a = kept;
    r->letter->message.b = revoked;
    pc_inbox_put(m->inbox, r->letter, false, &m->stats);
    pc_free(&m->mem, r);
}

void pc_messages_reauthorized_free(struct pc_messages *messages, void *made)
{
    struct reauthorized *r = made;
    if (!r)
        return;
    free_notice(r->letter);
    pc_free(&messages->mem, r);
}

void pc_messages_stopped(struct pc_messages *messages)
{
    if (!messages || !messages->stopped)
        return;
    pc_inbox_put(messages->inbox, messages->stopped, true, &messages->stats);
    messages->stopped = NULL;
}

/* -- the server's -- */

static int on_publish(pusherc_incoming *event, void *ctx)
{
    const pusherc_hooks *host = &((struct desk *)ctx)->of->host;
    return host->on_publish(event, host->user_data);
}

/* Which hooks a worker calls: those that the host has, or wants as messages. */
static pusherc_hooks hooks_of(const struct pc_messages *m, struct desk *desk)
{
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    hooks.user_data = desk;
#define HOOK(hook, type)                                                                           \
    if (m->host.hook || wants(m, PUSHERC_MESSAGE_##type))                                          \
    hooks.hook = hook
    HOOK(identify, IDENTIFY);
    HOOK(find_app, FIND_APP);
    HOOK(on_http, HTTP);
    HOOK(on_client_event, CLIENT_EVENT);
    HOOK(on_open, OPEN);
    HOOK(on_close, CLOSE);
    HOOK(on_channel, CHANNEL);
    HOOK(on_denied, DENIED);
    HOOK(on_webhook_failed, WEBHOOK_FAILED);
    HOOK(on_signin, SIGNIN);
    HOOK(on_user, USER);
    HOOK(on_receipt, RECEIPT);
    HOOK(on_ephemeral_end, EPHEMERAL_END);
#undef HOOK
    if (m->host.on_abandoned)
        hooks.on_abandoned = on_abandoned;
    if (m->host.on_publish) /* its answer cannot wait for a host that takes messages */
        hooks.on_publish = on_publish;
    return hooks;
}

static void open_desks(struct pc_messages *m, struct pc_engine *engine)
{
    for (uint32_t i = 0; i < m->worker_count; i++) {
        struct desk *desk = &m->desks[i];
        desk->of = m;
        desk->hooks = hooks_of(m, desk);
        pc_lane_init(&desk->lane, m->inbox, &m->stats);
        engine->workers[i].hooks = &desk->hooks;
        engine->workers[i].lane = &desk->lane;
    }
    engine->hooks = m->desks[0].hooks; /* for those who ask which there are */
    engine->last_question = &m->inbox->last_question;
}

int pc_messages_new(struct pc_messages **out, pusherc_server *server, pusherc_server_options *o)
{
    struct pc_engine *engine = &server->engine;
    const struct pc_mem *mem = &engine->mem;
    *out = NULL;
    if (!o->inbox)
        return 0;
    struct pc_messages *m =
        pc_alloc_zero(mem, sizeof *m + engine->worker_count * sizeof m->desks[0]);
    if (!m)
        return PUSHERC_ENOMEM;
    m->mem = *mem;
    m->server = server;
    m->inbox = o->inbox;
    m->kinds = o->inbox_messages;
    m->host = engine->hooks;
    m->log_user_data = o->log_user_data;
    m->worker_count = engine->worker_count;
    if (wants(m, PUSHERC_MESSAGE_STOPPED)) {
        const pusherc_message stopped = {.type = PUSHERC_MESSAGE_STOPPED,
                                         .user_data = m->host.user_data};
        m->stopped = notice_new(m, &stopped);
        if (!m->stopped) {
            pc_free(mem, m);
            return PUSHERC_ENOMEM;
        }
    }
    pc_inbox_ref(m->inbox);
    open_desks(m, engine);
    if (wants(m, PUSHERC_MESSAGE_LOG)) {
        o->log_fn = on_log;
        o->log_user_data = m;
    }
    *out = m;
    return 0;
}

void pc_messages_free(struct pc_messages *messages)
{
    if (!messages)
        return;
    for (uint32_t i = 0; i < messages->worker_count; i++)
        pc_lane_flush(&messages->desks[i].lane);
    if (messages->stopped)
        free_notice(messages->stopped);
    pc_inbox_unref(messages->inbox);
    struct pc_mem mem = messages->mem;
    pc_free(&mem, messages);
}

int pc_messages_take_rule(const struct pc_messages *messages, pusherc_rule *rule,
                          pusherc_errinfo *info)
{
    const char *pattern = rule->pattern ? rule->pattern : "(none)";
    if (!rule->inbox)
        return 0;
    if (!messages)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: the server has no inbox", pattern);
    if (rule->authorize || rule->authorize_batch || rule->gather_ms)
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "pattern %s: inbox takes the place of authorize, authorize_batch and "
                          "gather_ms",
                          pattern);
    rule->authorize_batch = put_auth_requests;
    rule->gather_ms = PUSHERC_NO_DELAY; /* the host takes many at once anyway */
    return 0;
}

void pc_messages_count(struct pc_messages *messages, pusherc_stats *out)
{
    if (!messages)
        return;
    out->inbox_depth = pc_inbox_depth(messages->inbox);
    out->inbox_refused_total = pc_stat_get(&messages->stats.refused);
    out->inbox_dropped_total = pc_stat_get(&messages->stats.dropped);
}

/* -- the host's -- */

#define BIT(type) (1u << PUSHERC_MESSAGE_##type)
#define NOTICES                                                                                    \
    (BIT(OPEN) | BIT(CLOSE) | BIT(SIGNIN) | BIT(CHANNEL) | BIT(CLIENT_EVENT) | BIT(DENIED) |       \
     BIT(WEBHOOK_FAILED) | BIT(LOG) | BIT(USER) | BIT(RECEIPT) | BIT(EPHEMERAL_END))

int pusherc_server_mute(pusherc_server *server, uint32_t messages)
{
    if (!server || (messages & ~NOTICES))
        return PUSHERC_EINVAL;
    if (pc_server_is_copy(server) || !server->messages)
        return PUSHERC_ESTATE;
    atomic_store_explicit(&server->messages->muted, messages, memory_order_relaxed);
    return 0;
}

int pusherc_inbox_new(pusherc_inbox **out, const pusherc_inbox_options *options)
{
    pusherc_inbox_options taken = PUSHERC_INBOX_OPTIONS_INIT;
    if (!out)
        return PUSHERC_EINVAL;
    *out = NULL;
    int err = options ? PC_TAKE(inbox_options, &taken, options, NULL) : 0;
    const pusherc_allocator *a = taken.allocator;
    if (err || (a && (!a->malloc_fn || !a->realloc_fn || !a->free_fn)))
        return PUSHERC_EINVAL;
    struct pc_mem mem = pc_mem_make(a);
    return pc_inbox_new(out, &mem, taken.max_messages ? taken.max_messages : DEFAULT_MAX_MESSAGES);
}

int pusherc_inbox_fd(const pusherc_inbox *inbox)
{
    return inbox->bell.fd;
}

size_t pusherc_inbox_take(pusherc_inbox *inbox, pusherc_message *out, size_t message_size,
                          size_t capacity, uint32_t timeout_ms)
{
    size_t n = pc_inbox_take(inbox, out, message_size, capacity);
    if (n > 0 || timeout_ms == 0)
        return n;
    if (pc_forked(inbox->mark))
        return 0;
    struct pollfd bell = {.fd = inbox->bell.fd, .events = POLLIN};
    int wait_ms = timeout_ms == UINT32_MAX ? -1 : timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX;
    if (poll(&bell, 1, wait_ms) <= 0)
        return 0;
    return pc_inbox_take(inbox, out, message_size, capacity);
}

void pusherc_inbox_free(pusherc_inbox *inbox)
{
    if (inbox)
        pc_inbox_close(inbox);
}
