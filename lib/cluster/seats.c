#include "cluster/seats.h"

#include <pusherc/error.h>

#include "base/pack.h"
#include "channel/counts.h"
#include "codec/crypto.h"

/* -- names: '#' and the letter of a kind, then the user or the address in hex; not the 'u' and 's' with which the channels
 * of a user begin -- */

#define MAX_NAME (2 + PC_COUNTS_MAX_KEY)

static char letter_of(enum pc_seat_kind kind)
{
    switch (kind) {
    case PC_SEAT_APP:
        return 'a';
    case PC_SEAT_USER:
        return 'p';
    case PC_SEAT_ADDRESS:
        break;
    }
    return 'i';
}

_Static_assert(MAX_NAME <= PC_ANY_CHANNEL_NAME_MAX, "a key has room for the name");

static pusherc_slice put_name(char out[MAX_NAME], enum pc_seat_kind kind, pusherc_slice name)
{
    char *at = out;
    *at++ = '#';
    *at++ = letter_of(kind);
    if (kind == PC_SEAT_ADDRESS) {
        pc_hex((const uint8_t *)name.ptr, name.len, at);
        at += 2 * name.len;
    } else {
        pc_pack(&at, name);
    }
    return pc_slice(out, (size_t)(at - out));
}

static uint32_t limit_of(struct pusherc_link *node, const struct pc_remote *remote)
{
    struct pc_app *app = pc_key_app(node, remote->node.key);
    uint32_t max = PUSHERC_NO_LIMIT;
    if (!app)
        return max;
    switch (pc_key_channel(remote->node.key).ptr[1]) {
    case 'a':
        max = app->options.max_connections;
        break;
    case 'p':
        max = app->options.max_connections_per_user;
        break;
    case 'i':
        max = app->options.max_connections_per_ip;
        break;
    }
    pc_app_unref(app);
    return max;
}

/* -- on any worker -- */

static int take(void *ctx, const struct pc_app *app, pusherc_slice name, struct pc_seat *seat)
{
    struct pusherc_link *node = ctx;
    struct pc_remote_key bytes;
    char room[MAX_NAME];
    uint64_t wake = 0;
    pusherc_slice key = pc_remote_key(&bytes, app->id, put_name(room, seat->kind, name));
    pc_node_lock(node);
    struct pc_remote *remote = pc_remote_get(node, key);
    if (remote) {
        seat->limit = remote;
        seat->number = ++remote->seat_number;
        pc_list_push_back(&remote->seats, &seat->in_order);
        remote->claims++;
        wake = pc_remote_mark(node, remote);
    }
    pc_node_unlock(node);
    pc_wake_workers(node->engine, wake);
    return remote ? 0 : PUSHERC_ENOMEM;
}

static void seat_free(struct pc_seat *seat)
{
    struct pc_mem mem = seat->mem;
    pc_free(&mem, seat);
}

static void drop(void *ctx, struct pc_seat *seat)
{
    struct pusherc_link *node = ctx;
    uint64_t wake = 0;
    pc_node_lock(node);
    bool flying = seat->flying;
    if (!pc_list_empty(&seat->in_order)) {
        struct pc_remote *remote = seat->limit;
        pc_list_remove(&seat->in_order);
        remote->claims--;
        wake = pc_remote_mark(node, remote);
    }
    pc_node_unlock(node);
    pc_wake_workers(node->engine, wake);
    seat->excess = NULL;
    if (!flying) /* otherwise its mail frees it */
        seat_free(seat);
}

static void on_excess(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_seat *seat = PC_CONTAINER(mail, struct pc_seat, mail);
    if (!worker || !seat->excess) {
        seat_free(seat);
        return;
    }
    seat->flying = false;
    seat->excess(seat);
}

/* -- on the node's thread -- */

uint64_t pc_seats_put_most(struct pc_remote *remote, struct pc_values *args)
{
    struct pusherc_link *node = pc_remote_node(remote);
    uint32_t most = remote->uncapped ? PUSHERC_NO_LIMIT : limit_of(node, remote);
    pc_node_lock(node);
    uint64_t claims = remote->claims;
    remote->seat_asked = remote->seat_number;
    pc_node_unlock(node);
    remote->uncapped = false;
    pc_values_put_u64(args, claims);
    if (most == PUSHERC_NO_LIMIT)
        pc_values_put(args, PC_S(""));
    else
        pc_values_put_u64(args, most);
    return claims;
}

/* Takes the newest seats that were asked for and do not fit out of the list. The mutex is held. */
static void take_excess(struct pc_remote *remote, uint64_t granted, struct pc_list *excess)
{
    uint64_t newer = 0, taken = 0;
    struct pc_list *before;
    for (struct pc_list *l = remote->seats.prev; l != &remote->seats; l = before) {
        struct pc_seat *seat = PC_CONTAINER(l, struct pc_seat, in_order);
        before = l->prev;
        if (seat->counted)
            break;
        if (seat->number > remote->seat_asked) {
            newer++;
        } else if (remote->claims - taken - newer > granted) {
            pc_list_remove(l);
            pc_list_push_back(excess, l);
            taken++;
        } else {
            seat->counted = true;
        }
    }
    remote->claims -= taken;
    remote->uncapped = remote->claims - newer > granted;
}

void pc_seats_counted(struct pc_remote *remote, uint64_t granted)
{
    struct pusherc_link *node = pc_remote_node(remote);
    struct pc_list excess;
    pc_list_init(&excess);
    pc_node_lock(node);
    take_excess(remote, granted, &excess);
    PC_LIST_EACH(l, &excess) {
        PC_CONTAINER(l, struct pc_seat, in_order)->flying = true;
    }
    pc_node_unlock(node);
    PC_LIST_EACH_SAFE(l, next, &excess) {
        struct pc_seat *seat = PC_CONTAINER(l, struct pc_seat, in_order);
        pc_list_remove(l);
        seat->mail.run = on_excess;
        if (pc_mailbox_send(seat->worker->mailbox, &seat->mail, PC_MAIL_CONTROL))
            on_excess(&seat->mail, NULL); /* the worker has ended */
    }
}

void pc_seats_fit(struct pc_remote *remote)
{
    pc_node_lock(pc_remote_node(remote));
    for (struct pc_list *l = remote->seats.prev;
         l != &remote->seats && remote->claims <= remote->sent; l = l->prev) {
        struct pc_seat *seat = PC_CONTAINER(l, struct pc_seat, in_order);
        if (seat->counted)
            break;
        seat->counted = true;
    }
    pc_node_unlock(pc_remote_node(remote));
}

void pc_seats_init(struct pusherc_link *node)
{
    node->engine->seats = (struct pc_seats){take, drop, node};
}

void pc_seats_free(struct pusherc_link *node)
{
    node->engine->seats = (struct pc_seats){.take = NULL};
}
