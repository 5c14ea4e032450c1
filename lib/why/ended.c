#include "why/ended.h"

#include <string.h>

void pc_why_ended_init(struct pc_why_ended *ended)
{
    *ended = (struct pc_why_ended){.count = 0};
    (void)pthread_mutex_init(&ended->mutex, NULL); /* cannot fail with default attributes */
}

void pc_why_ended_free(struct pc_why_ended *ended)
{
    (void)pthread_mutex_destroy(&ended->mutex);
}

static size_t held_by(const struct pc_why_ended *ended, const void *app)
{
    size_t count = 0;
    for (size_t i = 0; i < ended->count; i++)
        count += ended->items[i].app == app;
    return count;
}

/* Removes the oldest of the app that holds most. Some thousand comparisons, at level "debug". */
static void make_room(struct pc_why_ended *ended)
{
    size_t at = 0, most = 0;
    for (size_t i = 0; i < ended->count; i++) {
        size_t held = held_by(ended, ended->items[i].app);
        if (held > most) {
            most = held;
            at = i;
        }
    }
    ended->count--;
    memmove(&ended->items[at], &ended->items[at + 1], (ended->count - at) * sizeof ended->items[0]);
}

void pc_why_note_ended(struct pc_why_ended *ended, const struct pc_log *log, const void *app,
                       pusherc_socket_id id)
{
    if (!pc_log_wants(log, PUSHERC_LOG_DEBUG))
        return;
    (void)pthread_mutex_lock(&ended->mutex);
    if (ended->count == PC_WHY_MAX_ENDED)
        make_room(ended);
    ended->items[ended->count++] = (struct pc_why_ended_item){id, app};
    (void)pthread_mutex_unlock(&ended->mutex);
}

size_t pc_why_ended_of(struct pc_why_ended *ended, const void *app, pusherc_socket_id *ids,
                       size_t max)
{
    size_t count = 0;
    (void)pthread_mutex_lock(&ended->mutex);
    for (size_t i = ended->count; i > 0 && count < max; i--)
        if (ended->items[i - 1].app == app)
            ids[count++] = ended->items[i - 1].id;
    (void)pthread_mutex_unlock(&ended->mutex);
    return count;
}
