#include "base/recent.h"

void pc_recent_init(struct pc_recent *recent, const struct pc_mem *mem)
{
    (void)pthread_mutex_init(&recent->mutex, NULL); /* cannot fail with default attributes */
    recent->next_ms = 0;
    pc_buf_init(&recent->bytes, mem, SIZE_MAX);
}

void pc_recent_free(struct pc_recent *recent)
{
    pc_buf_free(&recent->bytes);
    (void)pthread_mutex_destroy(&recent->mutex);
}

bool pc_recent_get(struct pc_recent *recent, uint64_t now_ms, struct pc_buf *out)
{
    (void)pthread_mutex_lock(&recent->mutex);
    bool kept = recent->bytes.len > 0 && now_ms < recent->next_ms;
    if (kept)
        pc_buf_put(out, pc_buf_slice(&recent->bytes));
    else
        recent->next_ms = now_ms + PC_RECENT_MS;
    (void)pthread_mutex_unlock(&recent->mutex);
    return kept;
}

void pc_recent_keep(struct pc_recent *recent, pusherc_slice bytes)
{
    (void)pthread_mutex_lock(&recent->mutex);
    pc_buf_clear(&recent->bytes);
    pc_buf_put(&recent->bytes, bytes);
    if (pc_buf_status(&recent->bytes))
        pc_buf_clear(&recent->bytes);
    (void)pthread_mutex_unlock(&recent->mutex);
}
