#include "why/ended.h"

void pc_why_ended_init(struct pc_why_ended *ended)
{
    *ended = (struct pc_why_ended){.next = 0};
    (void)pthread_mutex_init(&ended->mutex, NULL); /* cannot fail with default attributes */
}

void pc_why_ended_free(struct pc_why_ended *ended)
{
    (void)pthread_mutex_destroy(&ended->mutex);
}

void pc_why_note_ended(struct pc_why_ended *ended, const struct pc_log *log, const void *app,
                       pusherc_socket_id id)
{
    if (!pc_log_wants(log, PUSHERC_LOG_DEBUG))
        return;
    (void)pthread_mutex_lock(&ended->mutex);
    ended->items[ended->next].id = id;
    ended->items[ended->next].app = app;
    ended->next = (ended->next + 1) % PC_WHY_MAX_ENDED;
    (void)pthread_mutex_unlock(&ended->mutex);
}

size_t pc_why_ended_of(struct pc_why_ended *ended, const void *app, pusherc_socket_id *ids,
                       size_t max)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&ended->mutex);
    for (size_t i = 1; i <= PC_WHY_MAX_ENDED && count < max; i++) {
        size_t at = (ended->next + PC_WHY_MAX_ENDED - i) % PC_WHY_MAX_ENDED;
        if (ended->items[at].app == app)
            ids[count++] = ended->items[at].id;
    }
    (void)pthread_mutex_unlock(&ended->mutex);
    return count;
}
