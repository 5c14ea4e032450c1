/* What the files of a node share: partitions, marks, requests. */
#include "cluster/node.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "base/pack.h"

#define MAX_INCARNATION (PC_NODE_ID + 1 + PC_U64_DIGITS)

/* -- partitions -- */

uint16_t pc_node_slot(pusherc_slice bytes)
{
    unsigned crc = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned)(unsigned char)bytes.ptr[i] << 8;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 0x8000u ? crc << 1 ^ 0x1021u : crc << 1) & 0xffffu;
    }
    return (uint16_t)crc;
}

struct pc_node_part *pc_node_part_of(struct pusherc_link *node, pusherc_slice key)
{
    return &node->parts[pc_node_slot(key) % node->part_count];
}

uint64_t pc_node_mark(struct pusherc_link *node)
{
    bool wake = false;
    if (node->look_posted)
        return 0;
    node->look_posted =
        pc_mailbox_post(node->worker->mailbox, &node->look, PC_MAIL_CONTROL, &wake) == 0;
    return wake ? UINT64_C(1) << node->worker->index : 0;
}

void pc_node_refuse(struct pusherc_link *node, const char *what)
{
    pc_stat_add(&node->stats.refused, 1);
    PC_LOG(&node->engine->log, WARN, ((struct pc_log_about){.subject = "cluster"}),
           "not understood, ignored: %s", what);
}

/* -- names -- */

static struct pc_name *find_name(const struct pc_list *names, pusherc_slice text)
{
    PC_LIST_EACH(l, names) {
        struct pc_name *name = PC_CONTAINER(l, struct pc_name, in_order);
        if (pc_slice_eq(name->text, text))
            return name;
    }
    return NULL;
}

bool pc_names_add(struct pusherc_link *node, struct pc_list *names, pusherc_slice text)
{
    struct pc_name *name = pc_alloc(&node->engine->mem, sizeof *name + text.len);
    if (!name)
        return false;
    char *at = (char *)(name + 1);
    name->text = pc_pack(&at, text);
    pc_list_push_back(names, &name->in_order);
    return true;
}

bool pc_names_have(const struct pc_list *names, pusherc_slice text)
{
    return find_name(names, text) != NULL;
}

bool pc_names_remove(struct pusherc_link *node, struct pc_list *names, pusherc_slice text)
{
    struct pc_name *name = find_name(names, text);
    if (name)
        pc_name_free(node, name);
    return name != NULL;
}

void pc_name_free(struct pusherc_link *node, struct pc_name *name)
{
    pc_list_remove(&name->in_order);
    pc_free(&node->engine->mem, name);
}

void pc_names_free(struct pusherc_link *node, struct pc_list *names)
{
    while (!pc_list_empty(names))
        pc_name_free(node, PC_CONTAINER(names->next, struct pc_name, in_order));
}

/* -- requests -- */

struct pc_request *pc_request_new(struct pusherc_link *node, const struct pc_request_kind *kind)
{
    struct pc_request *r = pc_alloc_zero(&node->engine->mem, sizeof *r);
    if (!r)
        return NULL;
    r->kind = kind;
    pc_list_init(&r->in_order);
    pc_buf_init(&r->text, &node->engine->mem, SIZE_MAX);
    return r;
}

void pc_request_free(struct pusherc_link *node, struct pc_request *r)
{
    if (!r)
        return;
    pc_list_remove(&r->in_order);
    pc_buf_free(&r->text);
    pc_free(&node->engine->mem, r);
}

bool pc_part_took(struct pc_node_part *part, int err)
{
    if (err == 0)
        return true;
    part->asks_again = true;
    if (err != PUSHERC_EBACKLOG && err != PUSHERC_ENOMEM && err != PUSHERC_ECANCELED)
        pusherc_link_lost(part->node, part->index, false);
    return false;
}

void pc_request_time(struct pusherc_link *node, const struct pc_request *r)
{
    if (r->asked_ns)
        pc_histogram_observe(&node->stats.step_times[r->kind->step],
                             (node->engine->clock_ns() - r->asked_ns) / 1000);
}

bool pc_request_publish(struct pc_node_part *part, struct pc_request *r, pusherc_slice key,
                        pusherc_slice message)
{
    struct pusherc_link *node = part->node;
    int err = r ? 0 : PUSHERC_ENOMEM;
    if (err == 0 && part->request_count >= PC_MAX_REQUESTS)
        err = PUSHERC_EBACKLOG;
    if (err == 0)
        err = node->ops.publish(node->self, part->index, part->session, key, message);
    if (!pc_part_took(part, err)) {
        pc_request_free(node, r);
        return false;
    }
    pc_list_push_back(&part->requests, &r->in_order);
    part->request_count++;
    return true;
}

bool pc_request_send(struct pc_node_part *part, struct pc_request *r, struct pc_values *args)
{
    struct pusherc_link *node = part->node;
    int err = r ? pc_values_status(args) : PUSHERC_ENOMEM;
    if (err == 0 && part->request_count >= PC_MAX_REQUESTS)
        err = PUSHERC_EBACKLOG;
    if (err == 0)
        r->asked_ns = node->engine->clock_ns ? node->engine->clock_ns() : 0;
    if (err == 0)
        err = node->ops.execute(node->self, part->index, part->session, r->kind->step,
                                pc_values_list(args), args->count);
    pc_values_free(args);
    if (!pc_part_took(part, err)) {
        pc_request_free(node, r);
        return false;
    }
    pc_list_push_back(&part->requests, &r->in_order);
    part->request_count++;
    return true;
}

void pc_part_put_incarnation(const struct pc_node_part *part, struct pc_values *args)
{
    char name[MAX_INCARNATION + 1];
    int len = snprintf(name, sizeof name, "%s.%llu", part->node->id,
                       (unsigned long long)part->incarnation);
    pc_values_put(args, pc_slice(name, (size_t)len));
}

void pc_part_put_guard(const struct pc_node_part *part, struct pc_values *args)
{
    pc_part_put_incarnation(part, args);
    pc_values_put(args, pc_slice_of(part->epoch));
}
