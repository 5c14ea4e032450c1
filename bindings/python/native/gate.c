/*
 * The gate of a server. Any thread of a Python program may publish while another one stops the server and frees it. A
 * call enters the gate as a reader; freeing is the writer. `closed` turns calls away before they touch the lock: then
 * no new reader holds up the writer, and in a forked child, where the lock may be held by a thread that does not exist,
 * nothing waits for it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "native.h"

struct gate {
    pusherc_server *server; /* owned; NULL = freed */
    _Atomic bool closed, forked;
    pthread_rwlock_t lock;
};

gate *gate_new(pusherc_server *server)
{
    gate *g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    if (pthread_rwlock_init(&g->lock, NULL)) {
        free(g);
        return NULL;
    }
    g->server = server;
    return g;
}

pusherc_server *gate_enter(gate *g)
{
    if (atomic_load(&g->closed) || pthread_rwlock_rdlock(&g->lock))
        return NULL;
    if (g->server)
        return g->server;
    gate_leave(g);
    return NULL;
}

void gate_leave(gate *g)
{
    pthread_rwlock_unlock(&g->lock);
}

void gate_close(gate *g)
{
    atomic_store(&g->closed, true);
}

void gate_forked(gate *g)
{
    gate_close(g);
    atomic_store(&g->forked, true);
}

void gate_free_server(gate *g)
{
    const bool forked = atomic_load(&g->forked);
    gate_close(g);
    if (!forked)
        pthread_rwlock_wrlock(&g->lock);
    pusherc_server *server = g->server;
    g->server = NULL;
    if (!forked)
        pthread_rwlock_unlock(&g->lock);
    pusherc_server_free(server); /* waits for its threads, which may be inside as readers */
}

void gate_free(gate *g)
{
    gate_free_server(g);
    if (!atomic_load(&g->forked))
        pthread_rwlock_destroy(&g->lock);
    free(g);
}

int gate_publish(gate *g, const char *app_id, const char *channel, size_t channel_len,
                 const char *name, size_t name_len, const char *data, size_t data_len,
                 const char *except)
{
    pusherc_server *server = gate_enter(g);
    if (!server)
        return PUSHERC_ESTATE;
    int err = pusherc_publish_to(server, app_id, channel, channel_len, name, name_len, data,
                                 data_len, except);
    gate_leave(g);
    return err;
}

int gate_send_to_user(gate *g, const char *app_id, const char *user_id, size_t user_id_len,
                      const char *name, size_t name_len, const char *data, size_t data_len)
{
    pusherc_server *server = gate_enter(g);
    if (!server)
        return PUSHERC_ESTATE;
    int err =
        pusherc_send_to_user(server, app_id, (pusherc_slice){user_id, user_id_len},
                             (pusherc_slice){name, name_len}, (pusherc_slice){data, data_len});
    gate_leave(g);
    return err;
}
