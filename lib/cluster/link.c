/*
 * Reports of the link, from any thread: each is copied into a mail for the node's thread. A loss makes earlier reports
 * void, also those that are still on their way; it needs no memory, because each partition has a mail for it.
 */
#include "cluster/node.h"

#include <pusherc/error.h>

#include "base/pack.h"

enum report_kind {
    REPORT_UP,
    REPORT_SUBSCRIBED,
    REPORT_MESSAGE,
    REPORT_ANSWER
};

struct report {
    struct pc_mail mail;
    struct pc_mem mem;
    struct pc_node_part *part;
    enum report_kind kind;
    struct pc_report_ages ages; /* of the partition when it was made */
    pusherc_topic topic;
    uint64_t session;
    size_t count;
    pusherc_slice values[]; /* their bytes follow */
};

static bool counts(const struct report *r)
{
    struct pusherc_link *node = r->part->node;
    bool of_topics = r->kind == REPORT_SUBSCRIBED || r->kind == REPORT_MESSAGE;
    pthread_mutex_lock(&node->mutex);
    bool is =
        of_topics ? r->ages.topics == r->part->ages.topics : r->ages.steps == r->part->ages.steps;
    pthread_mutex_unlock(&node->mutex);
    return is;
}

static void on_report(struct pc_mail *mail, struct pc_worker *worker)
{
    struct report *r = PC_CONTAINER(mail, struct report, mail);
    struct pc_mem mem = r->mem;
    if (worker)
        atomic_fetch_sub_explicit(&r->part->node->reports_waiting, 1, memory_order_relaxed);
    if (worker && counts(r)) {
        switch (r->kind) {
        case REPORT_UP:
            r->part->node->reports->up(r->part, r->session, r->values[0]);
            break;
        case REPORT_SUBSCRIBED:
            r->part->node->reports->subscribed(r->part, r->topic, r->values[0]);
            break;
        case REPORT_MESSAGE:
            r->part->node->reports->message(r->part, r->topic, r->values[0], r->values[1]);
            break;
        case REPORT_ANSWER:
            r->part->node->reports->answer(r->part, r->values, r->count);
            break;
        }
    }
    pc_free(&mem, r);
}

static int report(pusherc_link *link, uint32_t partition, enum report_kind kind, uint64_t session,
                  pusherc_topic topic, const pusherc_slice *values, size_t count)
{
    size_t size = sizeof(struct report) + count * sizeof *values;
    if (!link || partition >= link->part_count || (count && !values))
        return PUSHERC_EINVAL;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += values[i].len;
    struct report *r = pc_alloc(&link->engine->mem, size + bytes);
    if (!r)
        return PUSHERC_ENOMEM;
    char *at = (char *)r + size;
    r->mail.run = on_report;
    r->mem = link->engine->mem;
    r->part = &link->parts[partition];
    r->kind = kind;
    r->topic = topic;
    r->session = session;
    r->count = count;
    for (size_t i = 0; i < count; i++)
        r->values[i] = pc_pack(&at, values[i]);
    pthread_mutex_lock(&link->mutex);
    r->ages = r->part->ages;
    pthread_mutex_unlock(&link->mutex);
    atomic_fetch_add_explicit(&link->reports_waiting, 1, memory_order_relaxed);
    if (pc_mailbox_send(link->worker->mailbox, &r->mail, PC_MAIL_CONTROL))
        pc_free(&link->engine->mem, r); /* the server has ended */
    return 0;
}

int pusherc_link_up(pusherc_link *link, uint32_t partition, uint64_t session, pusherc_slice run)
{
    if (run.len == 0 || run.len > PC_MAX_RUN || memchr(run.ptr, '\0', run.len))
        return PUSHERC_EINVAL;
    return report(link, partition, REPORT_UP, session, PUSHERC_TOPIC_CHANNEL, &run, 1);
}

int pusherc_link_subscribed(pusherc_link *link, uint32_t partition, pusherc_topic topic,
                            pusherc_slice key)
{
    return report(link, partition, REPORT_SUBSCRIBED, 0, topic, &key, 1);
}

int pusherc_link_message(pusherc_link *link, uint32_t partition, pusherc_topic topic,
                         pusherc_slice key, pusherc_slice message)
{
    const pusherc_slice values[] = {key, message};
    return report(link, partition, REPORT_MESSAGE, 0, topic, values, 2);
}

int pusherc_link_answer(pusherc_link *link, uint32_t partition, const pusherc_slice *values,
                        size_t count)
{
    return report(link, partition, REPORT_ANSWER, 0, PUSHERC_TOPIC_CHANNEL, values, count);
}

/* -- losses -- */

static void on_lost(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_node_part *part = PC_CONTAINER(mail, struct pc_node_part, lost);
    struct pusherc_link *node = part->node;
    if (!worker)
        return;
    pthread_mutex_lock(&node->mutex);
    bool all = part->lost_all;
    part->lost_all = part->lost_posted = false;
    pthread_mutex_unlock(&node->mutex);
    node->reports->lost(part, !all);
}

void pc_link_lost_init(struct pc_node_part *part)
{
    part->lost.run = on_lost;
}

void pusherc_link_lost(pusherc_link *link, uint32_t partition, bool topics_only)
{
    if (!link || partition >= link->part_count)
        return;
    struct pc_node_part *part = &link->parts[partition];
    bool wake = false;
    pthread_mutex_lock(&link->mutex);
    part->ages.topics++;
    if (!topics_only) {
        part->ages.steps++;
        part->lost_all = true;
    }
    if (!part->lost_posted)
        part->lost_posted =
            pc_mailbox_post(link->worker->mailbox, &part->lost, PC_MAIL_CONTROL, &wake) == 0;
    pthread_mutex_unlock(&link->mutex);
    if (wake)
        pc_mailbox_wake(link->worker->mailbox);
}
