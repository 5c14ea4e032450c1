#include "cluster/once.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "fanout/once.h"

#define MAX_TOKEN (PC_NODE_ID + 1 + PC_U64_DIGITS)

/* A key under way: from ask() until it is told what became of it. */
struct pc_begun {
    struct pc_outgoing out; /* in_order also links it among those that are to be told again */
    struct pc_once *once;   /* that asks; NULL = it has been answered */
    struct pc_once_key *key;
    uint64_t number; /* of the token */
    uint64_t until_ms;
    bool done;
};

static void begun_free(struct pusherc_link *node, struct pc_begun *begun)
{
    begun->key->of_party = NULL;
    pc_list_remove(&begun->out.in_order);
    pc_free(&node->engine->mem, begun);
}

/* -- on the node's thread -- */

/* "app/key" */
static void put_key(struct pc_values *args, const struct pc_once_key *key)
{
    size_t begin = args->bytes.len;
    pc_buf_put(&args->bytes, key->app_id);
    pc_buf_put_char(&args->bytes, '/');
    pc_buf_put(&args->bytes, key->key);
    pc_values_end(args, begin);
}

static void put_token(struct pc_values *args, const struct pusherc_link *node,
                      const struct pc_begun *begun)
{
    char token[MAX_TOKEN + 1];
    int len = snprintf(token, sizeof token, "%s-%llu", node->id, (unsigned long long)begun->number);
    pc_values_put(args, pc_slice(token, (size_t)len));
}

/* Asks, with the key as the first argument. False: it was not asked. */
static bool send(struct pusherc_link *node, struct pc_begun *begun,
                 const struct pc_request_kind *kind, struct pc_values *args)
{
    struct pc_node_part *part =
        pc_values_status(args) ? NULL : pc_node_part_of(node, pc_values_list(args)[0]);
    if (!part || !pc_part_is_up(part)) {
        pc_values_free(args);
        return false;
    }
    struct pc_request *r = pc_request_new(node, kind);
    if (r)
        r->begun = begun;
    return pc_request_send(part, r, args);
}

static void decide(struct pusherc_link *node, struct pc_begun *begun, enum pc_once_result result)
{
    struct pc_once *once = begun->once;
    begun->key->result = result;
    begun->once = NULL;
    if (result != PC_ONCE_FIRST)
        begun_free(node, begun);
    if (--once->open == 0)
        (void)pc_pending_answer(&once->pending);
}

static void on_begun(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                     size_t count)
{
    struct pc_begun *begun = r->begun;
    enum pc_once_result result = PC_ONCE_ALONE;
    if (pc_slice_eq(values[0], PC_S("FIRST")))
        result = PC_ONCE_FIRST;
    else if (pc_slice_eq(values[0], PC_S("RUNNING")))
        result = PC_ONCE_RUNNING;
    else if (pc_slice_eq(values[0], PC_S("OTHER")))
        result = PC_ONCE_OTHER;
    else if (pc_slice_eq(values[0], PC_S("REPEAT")) && count == 2)
        result = PC_ONCE_REPEAT;
    else
        pc_node_refuse(part->node, "the state of an idempotency key");
    if (result == PC_ONCE_REPEAT)
        pc_buf_put(&begun->key->answer, values[1]);
    decide(part->node, begun, result);
}

static void on_begin_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    decide(part->node, r->begun, PC_ONCE_ALONE);
}

static const struct pc_request_kind begin_kind = {PUSHERC_STEP_ONCE_BEGIN, on_begun,
                                                  on_begin_forgotten};

static void begin(struct pusherc_link *node, struct pc_begun *begun)
{
    char content[PC_U64_DIGITS];
    struct pc_values args;
    begun->number = ++node->tokens;
    pc_values_init(&args, &node->engine->mem);
    put_key(&args, begun->key);
    pc_values_put(&args, pc_slice(content, pc_format_u64(begun->key->content, content)));
    put_token(&args, node, begun);
    pc_values_put_u64(&args, PC_ONCE_RUNNING_MS);
    if (!send(node, begun, &begin_kind, &args))
        decide(node, begun, PC_ONCE_ALONE);
}

static void on_told(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    struct pc_once_key *key = r->begun->key;
    (void)values;
    (void)count;
    begun_free(part->node, r->begun);
    pc_once_key_free(key);
}

static void tell_later(struct pusherc_link *node, struct pc_begun *begun)
{
    struct pc_once_key *key = begun->key;
    if (begun->done && pc_node_now(node) < begun->until_ms) {
        pc_list_push_back(&node->untold, &begun->out.in_order);
        return;
    }
    begun_free(node, begun); /* an undone key is free soon by itself */
    pc_once_key_free(key);
}

static void on_tell_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    tell_later(part->node, r->begun);
}

static const struct pc_request_kind done_kind = {PUSHERC_STEP_ONCE_DONE, on_told,
                                                 on_tell_forgotten};
static const struct pc_request_kind undo_kind = {PUSHERC_STEP_ONCE_UNDO, on_told,
                                                 on_tell_forgotten};

static void tell(struct pusherc_link *node, struct pc_begun *begun)
{
    struct pc_values args;
    uint64_t now_ms = pc_node_now(node);
    pc_values_init(&args, &node->engine->mem);
    put_key(&args, begun->key);
    put_token(&args, node, begun);
    if (begun->done) {
        pc_values_put(&args, pc_buf_slice(&begun->key->answer));
        pc_values_put_u64(&args, begun->until_ms > now_ms ? begun->until_ms - now_ms : 1);
    }
    if (!send(node, begun, begun->done ? &done_kind : &undo_kind, &args))
        tell_later(node, begun);
}

static void take_end(struct pusherc_link *node, struct pc_outgoing *out)
{
    struct pc_begun *begun = PC_CONTAINER(out, struct pc_begun, out);
    begun->until_ms = pc_node_now(node) + begun->key->keep_ms;
    tell(node, begun);
}

static void take_question(struct pusherc_link *node, struct pc_outgoing *out)
{
    begin(node, PC_CONTAINER(out, struct pc_begun, out));
}

void pc_onces_go_on(struct pusherc_link *node)
{
    struct pc_list untold;
    if (pc_list_empty(&node->untold))
        return;
    pc_list_take(&untold, &node->untold);
    while (!pc_list_empty(&untold)) {
        struct pc_begun *begun = PC_CONTAINER(untold.next, struct pc_begun, out.in_order);
        pc_list_remove(&begun->out.in_order);
        tell(node, begun);
    }
}

/* -- on any worker -- */

static struct pc_begun *begun_new(struct pusherc_link *node, struct pc_once *once,
                                  struct pc_once_key *key)
{
    struct pc_begun *begun = pc_alloc_zero(&node->engine->mem, sizeof *begun);
    if (!begun)
        return NULL;
    pc_list_init(&begun->out.in_order);
    begun->out.take = take_question;
    begun->once = once;
    begun->key = key;
    key->of_party = begun;
    return begun;
}

static int ask(void *ctx, struct pc_once *once)
{
    struct pusherc_link *node = ctx;
    struct pc_list asked;
    if (atomic_load_explicit(&node->worst, memory_order_relaxed) != PC_LINK_UP)
        return PUSHERC_ETIMEDOUT;
    pc_list_init(&asked);
    once->open = 0;
    PC_LIST_EACH(l, &once->keys) {
        struct pc_begun *begun =
            begun_new(node, once, PC_CONTAINER(l, struct pc_once_key, in_order));
        if (!begun)
            goto no_memory;
        pc_list_push_back(&asked, &begun->out.in_order);
        once->open++;
    }
    pthread_mutex_lock(&node->mutex);
    PC_LIST_EACH_SAFE(l, next, &asked) {
        pc_list_remove(l);
        pc_list_push_back(&node->outgoing, l);
    }
    uint64_t wake = pc_node_mark(node);
    pthread_mutex_unlock(&node->mutex);
    pc_wake_workers(node->engine, wake);
    return 0;

no_memory:
    while (!pc_list_empty(&asked))
        begun_free(node, PC_CONTAINER(asked.next, struct pc_begun, out.in_order));
    return PUSHERC_ENOMEM;
}

static void end(void *ctx, struct pc_once_key *key, bool done)
{
    struct pusherc_link *node = ctx;
    struct pc_begun *begun = key->of_party;
    pc_list_remove(&key->in_order);
    begun->done = done;
    begun->out.take = take_end;
    pthread_mutex_lock(&node->mutex);
    pc_list_push_back(&node->outgoing, &begun->out.in_order);
    uint64_t wake = pc_node_mark(node);
    pthread_mutex_unlock(&node->mutex);
    pc_wake_workers(node->engine, wake);
}

void pc_onces_init(struct pusherc_link *node)
{
    pc_list_init(&node->untold);
    node->engine->once = (struct pc_once_party){ask, end, node};
}

void pc_onces_free(struct pusherc_link *node)
{
    node->engine->once = (struct pc_once_party){.ask = NULL};
    while (!pc_list_empty(&node->untold)) {
        struct pc_begun *begun = PC_CONTAINER(node->untold.next, struct pc_begun, out.in_order);
        struct pc_once_key *key = begun->key;
        begun_free(node, begun);
        pc_once_key_free(key);
    }
}
