#include "fanout/view.h"

#include "channel/cached.h"
#include "codec/json.h"
#include "protocol/message_out.h"

#define NO_FRAME   UINT8_MAX
#define MAX_ROUNDS 64 /* audiences that keep changing while we render: give up as if overloaded */

/* One worker's copy of the bundle's address. */
struct bundle_mail {
    struct pc_mail mail;
    struct pc_bundle *bundle;
    uint32_t slot; /* this worker's in every frame */
};

struct pc_bundle {
    struct pc_mem mem;
    _Atomic uint32_t holders; /* workers, and its maker */
    struct pc_directory *directory;
    struct pc_channel *channel; /* held once posted, else NULL */
    uint64_t number;
    uint64_t generation; /* of the channel's views when it was rendered */
    uint64_t posted_ns;  /* 0 = not timed */
    pusherc_socket_id except;
    uint32_t worker_count; /* mails, and slots of each frame */
    uint32_t frame_count;
    struct pc_frame *frames[PC_MAX_VIEWS];
    uint8_t frame_of[PC_MAX_VIEWS]; /* by view; NO_FRAME = gets nothing */
    struct bundle_mail mails[];
};

/* -- what the host's render function works with -- */

struct pusherc_render {
    const struct pc_app *app;
    const struct pc_engine *engine;
    const struct pc_rule_match *match;
    pusherc_slice channel, event, data, view;
    struct pc_buf payload;
    bool replaced;
    bool wants_json; /* a member's info goes into the roster as it is */
};

pusherc_slice pusherc_render_view(const pusherc_render *render)
{
    return render->view;
}

pusherc_slice pusherc_render_app_id(const pusherc_render *render)
{
    return render->app->id;
}

pusherc_slice pusherc_render_channel(const pusherc_render *render)
{
    return render->channel;
}

pusherc_slice pusherc_render_event(const pusherc_render *render)
{
    return render->event;
}

pusherc_slice pusherc_render_data(const pusherc_render *render)
{
    return render->data;
}

pusherc_slice pusherc_render_param(const pusherc_render *render, const char *name)
{
    return pc_rule_param(render->match, pc_slice_of(name));
}

int pusherc_render_payload(pusherc_render *render, pusherc_slice data)
{
    render->replaced = false;
    if (!pc_utf8_valid(data))
        return PUSHERC_EINVAL;
    if (data.len > render->engine->limits.out_hard_bytes / 2)
        return PUSHERC_ELIMIT;
    pc_buf_clear(&render->payload);
    pc_buf_put(&render->payload, data);
    render->replaced = pc_buf_status(&render->payload) == 0;
    return pc_buf_status(&render->payload);
}

/* Everything but SAME and a given replacement is nothing: a mistake must not show more than intended. */
static pusherc_render_verdict render(struct pusherc_render *r)
{
    const pusherc_rule *rule = &r->match->rule->options;
    r->replaced = false;
    pusherc_render_verdict verdict = rule->render(r, rule->user_data);
    if (verdict == PUSHERC_RENDER_SAME)
        return verdict;
    if (verdict != PUSHERC_RENDER_REPLACED || !r->replaced ||
        (r->wants_json && pc_json_parse(pc_buf_slice(&r->payload)).type == PC_JSON_NONE))
        return PUSHERC_RENDER_NOTHING;
    return verdict;
}

/* -- bundles -- */

static struct pc_bundle *bundle_new(struct pc_engine *engine, uint32_t workers)
{
    struct pc_bundle *b = pc_alloc_zero(&engine->mem, sizeof *b + workers * sizeof b->mails[0]);
    if (!b)
        return NULL;
    b->mem = engine->mem;
    b->directory = &engine->directory;
    b->worker_count = workers;
    atomic_init(&b->holders, 1);
    memset(b->frame_of, NO_FRAME, sizeof b->frame_of);
    return b;
}

void pc_bundle_release(struct pc_bundle *b)
{
    if (!b || atomic_fetch_sub_explicit(&b->holders, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t i = 0; i < b->frame_count; i++)
        pc_frame_done(b->frames[i]);
    if (b->channel)
        pc_channel_release(b->directory, b->channel);
    struct pc_mem mem = b->mem;
    pc_free(&mem, b);
}

static int add_frame(struct pc_bundle *b, pusherc_slice message, uint8_t *index)
{
    struct pc_frame *frame = pc_frame_new(&b->mem, b->worker_count, PC_WS_TEXT, message);
    if (!frame)
        return PUSHERC_ENOMEM;
    *index = (uint8_t)b->frame_count;
    b->frames[b->frame_count++] = frame;
    return 0;
}

bool pc_bundle_fits(const struct pc_bundle *b, const struct pc_channel *channel)
{
    if (!channel->interested)
        return true;
    return b && b->generation == channel->views->generation &&
           (uint32_t)__builtin_popcountll(channel->interested) <= b->worker_count;
}

/* On the worker: each subscriber gets its audience's frame, if there is one. */
static void deliver_to_views(struct pc_bundle *b, uint32_t slot, struct pc_worker *worker)
{
    const struct pc_local *local = pc_local_of(b->channel, worker);
    const bool has_except = b->except.a | b->except.b;
    uint64_t delivered = 0, bytes = 0;
    if (!local)
        return;
    for (uint32_t i = 0; i < local->count; i++) {
        const struct pc_target *t = &local->targets[i];
        if (b->number < t->since || t->view == PC_NO_VIEW || b->frame_of[t->view] == NO_FRAME ||
            (has_except && pc_same_id(t->q->owner, b->except)))
            continue;
        struct pc_slot *s = &b->frames[b->frame_of[t->view]]->slots[slot];
        if (pc_target_push(t, s, pc_local_room(worker, s->len))) {
            delivered++;
            bytes += s->len - s->frame->header_len;
        }
    }
    pc_worker_delivered(worker, local->live, delivered, bytes, b->posted_ns);
}

static void arrive(struct pc_mail *mail, struct pc_worker *worker)
{
    struct bundle_mail *m = PC_CONTAINER(mail, struct bundle_mail, mail);
    struct pc_bundle *b = m->bundle;
    uint32_t slot = m->slot;
    if (worker)
        deliver_to_views(b, slot, worker);
    for (uint32_t i = 0; i < b->frame_count; i++)
        pc_slot_unref(&b->frames[i]->slots[slot]);
    pc_bundle_release(b);
}

static void unbegin(struct pc_bundle *b, uint32_t slot)
{
    for (uint32_t i = 0; i < b->frame_count; i++)
        pc_slot_unref(&b->frames[i]->slots[slot]);
    atomic_fetch_sub_explicit(&b->holders, 1, memory_order_relaxed); /* the maker still holds it */
}

int pc_bundle_post(struct pc_engine *engine, struct pc_channel *channel, struct pc_bundle *b,
                   struct pc_posting *posting)
{
    uint32_t slot = 0;
    int rc = 0;
    posting->bundle = b;
    b->number = ++channel->shard->number;
    b->channel = channel;
    channel->holders++;
    for (uint64_t rest = channel->interested; rest; rest &= rest - 1) {
        uint32_t w = (uint32_t)__builtin_ctzll(rest);
        bool wake;
        b->mails[slot] = (struct bundle_mail){.mail.run = arrive, .bundle = b, .slot = slot};
        for (uint32_t i = 0; i < b->frame_count; i++)
            pc_slot_begin(&b->frames[i]->slots[slot]);
        atomic_fetch_add_explicit(&b->holders, 1, memory_order_relaxed);
        int posted =
            pc_mailbox_post(engine->workers[w].mailbox, &b->mails[slot].mail, PC_MAIL_EVENT, &wake);
        if (posted == 0) {
            posting->wake |= (uint64_t)wake << w;
            slot++;
            continue;
        }
        unbegin(b, slot);
        if (posted == PUSHERC_EBACKLOG) {
            atomic_fetch_add_explicit(&engine->mailbox_refused, 1, memory_order_relaxed);
            rc = posted;
        }
    }
    if (slot == 0) { /* nobody took it: the last holder must not want the lock we hold */
        channel->holders--;
        b->channel = NULL;
    }
    return rc;
}

int pc_publish_to_views(struct pc_engine *engine, struct pc_channel *channel, pusherc_slice message,
                        struct pc_posting *posting)
{
    uint32_t workers = (uint32_t)__builtin_popcountll(channel->interested);
    uint8_t index;
    if (workers == 0)
        return 0;
    struct pc_bundle *b = bundle_new(engine, workers);
    if (!b)
        return PUSHERC_ENOMEM;
    if (add_frame(b, message, &index)) {
        posting->bundle = b; /* released after the unlock */
        return PUSHERC_ENOMEM;
    }
    memset(b->frame_of, index, sizeof b->frame_of);
    return pc_bundle_post(engine, channel, b, posting);
}

/* -- rendering for the audiences of a moment -- */

/* Writes the message that carries what was rendered. */
typedef void (*encode_fn)(struct pc_buf *out, pusherc_slice rendered, const void *ctx);

struct moment {
    struct pc_channel *channel; /* held */
    uint32_t workers;
    struct pc_views views; /* a copy */
};

/* False if there is nobody: no channel, or no subscriber. Otherwise the channel is held. */
static bool take_moment(struct pc_engine *engine, uint64_t app_uid, pusherc_slice name,
                        struct moment *out)
{
    struct pc_shard *shard = pc_directory_lock(&engine->directory, app_uid, name);
    struct pc_channel *channel = pc_shard_find(shard, app_uid, name);
    bool any = channel && channel->interested && channel->views;
    if (any) {
        channel->holders++;
        out->channel = channel;
        out->workers = (uint32_t)__builtin_popcountll(channel->interested);
        out->views = *channel->views;
    }
    pc_shard_unlock(shard);
    return any;
}

static int render_view(struct pc_bundle *b, struct pusherc_render *r, encode_fn encode,
                       const void *ctx, uint8_t *same, uint8_t *index)
{
    pusherc_slice data = r->data;
    switch (render(r)) {
    case PUSHERC_RENDER_NOTHING:
        if (!r->wants_json)
            return 0;
        data = PC_S("{}");
        break;
    case PUSHERC_RENDER_SAME:
        if (*same != NO_FRAME) {
            *index = *same;
            return 0;
        }
        break;
    case PUSHERC_RENDER_REPLACED:
        data = pc_buf_slice(&r->payload);
        break;
    }
    bool is_same = data.ptr == r->data.ptr;
    char stack[2048];
    struct pc_buf message;
    pc_buf_init_in(&message, &b->mem, SIZE_MAX, stack, sizeof stack);
    encode(&message, data, ctx);
    int rc = pc_buf_status(&message);
    if (rc == 0)
        rc = add_frame(b, pc_buf_slice(&message), index);
    if (rc == 0 && is_same)
        *same = *index;
    pc_buf_free(&message);
    return rc;
}

static int render_bundle(struct pc_engine *engine, const struct pc_app *app, const struct moment *m,
                         pusherc_slice event, pusherc_slice data, bool member, encode_fn encode,
                         const void *ctx, struct pc_bundle **out)
{
    struct pusherc_render r = {.app = app,
                               .engine = engine,
                               .match = &m->views.match,
                               .channel = m->channel->name,
                               .event = event,
                               .data = data,
                               .wants_json = member};
    struct pc_bundle *b = bundle_new(engine, m->workers);
    uint8_t same = NO_FRAME;
    int rc = b ? 0 : PUSHERC_ENOMEM;
    *out = NULL;
    pc_buf_init(&r.payload, &engine->mem, SIZE_MAX);
    for (uint32_t i = 0; rc == 0 && i < PC_MAX_VIEWS; i++) {
        const struct pc_view *view = &m->views.items[i];
        if (view->uses == 0)
            continue;
        r.view = pc_slice(view->name, view->name_len);
        rc = render_view(b, &r, encode, ctx, &same, &b->frame_of[i]);
    }
    pc_buf_free(&r.payload);
    if (rc) {
        pc_bundle_release(b);
        return rc;
    }
    b->generation = m->views.generation;
    *out = b;
    return 0;
}

static void encode_event(struct pc_buf *out, pusherc_slice rendered, const void *ctx)
{
    const struct pc_publication *p = ctx;
    pc_out_event(out, p->event, p->channels[0], rendered, p->user_id);
}

/* False: somebody subscribes meanwhile. */
static bool keep_unheard(struct pc_engine *engine, const struct pc_app *app, pusherc_slice name,
                         const struct pc_keeping *keeping, int *rc)
{
    bool unheard = true;
    if (!keeping->cached)
        return true;
    struct pc_shard *shard = pc_directory_lock(&engine->directory, app->live->uid, name);
    struct pc_channel *channel = pc_shard_get(&engine->directory, shard, app->live->uid, name,
                                              keeping->class, &keeping->match);
    *rc = channel ? 0 : PUSHERC_ENOMEM;
    if (channel) {
        unheard = !channel->interested;
        if (unheard)
            pc_keep(engine, channel, keeping);
        pc_channel_settle(&engine->directory, channel);
    }
    pc_shard_unlock(shard);
    return unheard;
}

/* One try; false, with *rc 0, if the audiences changed meanwhile. */
static bool try_publish(struct pc_engine *engine, const struct pc_app *app,
                        const struct pc_publication *p, const struct pc_keeping *keeping, int *rc)
{
    struct moment m;
    struct pc_posting posting = {0};
    struct pc_bundle *b;
    if (!take_moment(engine, app->live->uid, p->channels[0], &m))
        return keep_unheard(engine, app, p->channels[0], keeping, rc);
    *rc = render_bundle(engine, app, &m, p->event, p->data, false, encode_event, p, &b);
    bool fits = false;
    if (*rc == 0) {
        b->except = p->except;
        b->posted_ns = p->posted_ns;
        pthread_mutex_lock(&m.channel->shard->mutex);
        fits = pc_bundle_fits(b, m.channel);
        if (fits) {
            *rc = pc_bundle_post(engine, m.channel, b, &posting);
            pc_keep(engine, m.channel, keeping);
        }
        pc_shard_unlock(m.channel->shard);
        if (!fits)
            pc_bundle_release(b);
    }
    pc_posting_finish(engine, &posting);
    pc_channel_release(&engine->directory, m.channel);
    return fits;
}

int pc_publish_rendered(struct pc_engine *engine, const struct pc_app *app, pusherc_slice name,
                        const struct pc_publication *publication, const struct pc_keeping *keeping)
{
    struct pc_publication p = *publication;
    int rc = 0;
    p.channels = &name;
    for (int round = 0; round < MAX_ROUNDS; round++)
        if (try_publish(engine, app, &p, keeping, &rc) || rc)
            return rc;
    return PUSHERC_EBACKLOG;
}

void pc_render_cached(struct pc_engine *engine, const struct pc_join *join,
                      const struct pc_cached *cached, struct pc_buf *out)
{
    struct pusherc_render r = {.app = join->app,
                               .engine = engine,
                               .match = join->match,
                               .channel = join->channel,
                               .event = cached->event,
                               .data = cached->data,
                               .view = join->view};
    if (join->view.len == 0)
        return;
    pc_buf_init(&r.payload, &engine->mem, SIZE_MAX);
    pusherc_render_verdict verdict = render(&r);
    if (verdict != PUSHERC_RENDER_NOTHING)
        pc_out_event(out, cached->event, join->channel,
                     verdict == PUSHERC_RENDER_SAME ? cached->data : pc_buf_slice(&r.payload),
                     PC_S(""));
    pc_buf_free(&r.payload);
}

/* -- presence -- */

static void encode_member(struct pc_buf *out, pusherc_slice rendered, const void *ctx)
{
    const struct pc_join *join = ctx;
    pc_out_member_added(out, join->channel, join->user_id, rendered);
}

int pc_bundle_member_added(struct pc_engine *engine, const struct pc_join *join,
                           struct pc_bundle **out)
{
    struct moment m;
    *out = NULL;
    if (!take_moment(engine, join->app->live->uid, join->channel, &m))
        return 0;
    int rc = render_bundle(engine, join->app, &m, PC_S(PUSHERC_RENDER_MEMBER), join->user_info,
                           true, encode_member, join, out);
    pc_channel_release(&engine->directory, m.channel);
    return rc;
}

/* How a member travels from under the lock: its lengths, then its texts. */
struct raw_member {
    size_t id_len, info_len;
};

void pc_copy_members(const struct pc_channel *channel, struct pc_buf *raw)
{
    for (struct pc_list *l = channel->roster.in_order.next; l != &channel->roster.in_order;
         l = l->next) {
        const struct pc_roster_member *m = PC_CONTAINER(l, struct pc_roster_member, in_order);
        struct raw_member lengths = {m->node.key.len, m->info.len};
        pc_buf_put(raw, pc_slice((const char *)&lengths, sizeof lengths));
        pc_buf_put(raw, m->node.key);
        pc_buf_put(raw, m->info);
    }
}

int pc_render_roster(struct pc_engine *engine, const struct pc_join *join, pusherc_slice raw,
                     struct pc_buf *out)
{
    struct pusherc_render r = {.app = join->app,
                               .engine = engine,
                               .match = join->match,
                               .channel = join->channel,
                               .event = PC_S(PUSHERC_RENDER_MEMBER),
                               .view = join->view,
                               .wants_json = true};
    struct pc_roster roster;
    struct raw_member lengths;
    pusherc_slice json;
    int rc = 0;
    pc_roster_init(&roster, &engine->mem, engine->seed);
    pc_buf_init(&r.payload, &engine->mem, SIZE_MAX);
    for (; rc == 0 && raw.len > 0;
         raw = pc_slice_skip(raw, sizeof lengths + lengths.id_len + lengths.info_len)) {
        struct pc_roster_member *unused;
        memcpy(&lengths, raw.ptr, sizeof lengths);
        pusherc_slice id = pc_slice(raw.ptr + sizeof lengths, lengths.id_len);
        r.data = pc_slice(id.ptr + id.len, lengths.info_len);
        pusherc_slice info = r.data;
        if (join->view.len == 0) {
            /* no audience: it sees itself, which client libraries need, and nobody else */
            if (!pc_slice_eq(id, join->user_id))
                continue;
            info = PC_S("{}");
        } else {
            pusherc_render_verdict verdict = render(&r);
            if (verdict == PUSHERC_RENDER_REPLACED)
                info = pc_buf_slice(&r.payload);
            else if (verdict == PUSHERC_RENDER_NOTHING)
                info = PC_S("{}");
        }
        rc = pc_roster_join(&roster, id, info, PUSHERC_NO_LIMIT, &unused);
    }
    if (rc == 0)
        rc = pc_roster_json(&roster, &json);
    if (rc == 0) {
        pc_buf_put(out, json);
        rc = pc_buf_status(out);
    }
    pc_buf_free(&r.payload);
    pc_roster_free(&roster);
    return rc;
}
