#include "cluster/isolation.h"

#include "protocol/close.h"
#include "session/disconnect.h"

#define AGAIN_MS 1000

static const struct pc_log_about about = {.subject = "cluster"};

static bool is_linked(const struct pusherc_link *node)
{
    return atomic_load_explicit(&node->worst, memory_order_relaxed) == PC_LINK_UP;
}

static void tell(struct pusherc_link *node)
{
    enum pc_health health = node->isolation.apart            ? PC_HEALTH_APART
                            : is_linked(node)                ? PC_HEALTH_OK
                            : node->options.ready_needs_link ? PC_HEALTH_UNREADY
                                                             : PC_HEALTH_DEGRADED;
    atomic_store_explicit(&node->engine->health, (int)health, memory_order_relaxed);
}

void pc_isolation_start(struct pusherc_link *node)
{
    node->isolation.linked_ms = node->isolation.ticked_ms = pc_node_now(node);
    tell(node);
}

void pc_isolation_look(struct pusherc_link *node)
{
    if (is_linked(node))
        node->isolation.apart = false;
    tell(node);
}

/* Again until none is left: one that was being let in is not known yet, and memory may be short. */
static void close_clients(struct pusherc_link *node, uint64_t now_ms)
{
    const struct pc_disconnect all = {
        .any_app = true,
        .code = PC_CLOSE_RECONNECT,
        .reason = PC_S("The server has no link with the others, please reconnect"),
    };
    if (now_ms < node->isolation.close_ms ||
        atomic_load_explicit(&node->engine->clients, memory_order_relaxed) == 0)
        return;
    if (pc_disconnect(node->engine, &all) == 0)
        node->isolation.close_ms = now_ms + AGAIN_MS;
}

void pc_isolation_tick(struct pusherc_link *node, uint64_t now_ms)
{
    struct pc_isolation *i = &node->isolation;
    const uint32_t after_ms = node->options.close_after_ms;
    if (is_linked(node))
        i->linked_ms = now_ms;
    else
        pc_stat_add(&node->stats.unlinked_ms, now_ms - i->ticked_ms);
    i->ticked_ms = now_ms;
    if (!i->apart && after_ms && now_ms - i->linked_ms >= after_ms) {
        i->apart = true;
        i->close_ms = now_ms;
        tell(node);
        PC_LOG(
            &node->engine->log, WARN, about,
            "has had no link for %u ms: closes its clients, and takes none until the link is back",
            (unsigned)after_ms);
    }
    if (i->apart && !pc_engine_is_draining(node->engine))
        close_clients(node, now_ms);
}
