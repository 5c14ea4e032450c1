#include "fanout/order.h"

#include <pusherc/error.h>

struct pc_order_mail {
    struct pc_mail mail;
    struct pc_order *of;
};

int pc_order_init(struct pc_order *order, struct pc_engine *engine)
{
    order->engine = engine;
    order->mails = pc_alloc_array(&engine->mem, engine->worker_count, sizeof *order->mails);
    return order->mails ? 0 : PUSHERC_ENOMEM;
}

void pc_order_free(struct pc_order *order)
{
    if (order->mails)
        pc_free(&order->engine->mem, order->mails);
    order->mails = NULL;
}

static void arrive(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_order *order = PC_CONTAINER(mail, struct pc_order_mail, mail)->of;
    if (worker)
        order->run(order, worker);
    if (atomic_fetch_sub_explicit(&order->left, 1, memory_order_acq_rel) == 1)
        order->done(order);
}

void pc_order_send(struct pc_order *order)
{
    struct pc_engine *engine = order->engine;
    struct pc_order_mail *mails = order->mails; /* sending the last mail may free the order */
    uint32_t count = engine->worker_count;
    atomic_store_explicit(&order->left, count, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++) {
        mails[i] = (struct pc_order_mail){.mail.run = arrive, .of = order};
        if (pc_mailbox_send(engine->workers[i].mailbox, &mails[i].mail, PC_MAIL_CONTROL))
            arrive(&mails[i].mail, NULL);
    }
}
