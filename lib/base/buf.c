#include "base/buf.h"

#include <pusherc/error.h>

/* Large enough that most frames do not grow again. */
#define FIRST_SIZE 256

void pc_buf_init(struct pc_buf *buf, const struct pc_mem *mem, size_t max)
{
    *buf = (struct pc_buf){.mem = mem, .max = max};
}

void pc_buf_init_in(struct pc_buf *buf, const struct pc_mem *mem, size_t max, char *storage,
                    size_t storage_size)
{
    *buf = (struct pc_buf){
        .mem = mem,
        .max = max,
        .ptr = storage,
        .lent = storage,
        .cap = storage_size < max ? storage_size : max,
    };
}

void pc_buf_free(struct pc_buf *buf)
{
    if (buf->ptr != buf->lent)
        pc_free(buf->mem, buf->ptr);
    pc_buf_init(buf, buf->mem, buf->max);
}

void pc_buf_clear(struct pc_buf *buf)
{
    buf->len = 0;
    buf->status = 0;
}

static char *fail(struct pc_buf *buf, int status)
{
    buf->status = status;
    return NULL;
}

/* Doubles, so that a run of n appended bytes is copied O(n) times in all. */
static size_t grown_size(const struct pc_buf *buf, size_t needed)
{
    size_t size = buf->cap < FIRST_SIZE ? FIRST_SIZE : buf->cap;
    while (size < needed && size <= buf->max / 2)
        size *= 2;
    if (size < needed || size > buf->max)
        size = buf->max;
    return size;
}

char *pc_buf_reserve(struct pc_buf *buf, size_t extra)
{
    if (buf->status)
        return NULL;
    if (extra > buf->max - buf->len)
        return fail(buf, PUSHERC_ELIMIT);
    if (extra <= buf->cap - buf->len && buf->ptr)
        return buf->ptr + buf->len;

    size_t size = grown_size(buf, buf->len + extra);
    bool on_heap = buf->ptr && buf->ptr != buf->lent;
    char *grown;
    if (size == 0) /* max is 0 and 0 bytes are asked for */
        return fail(buf, PUSHERC_ELIMIT);
    grown = on_heap ? pc_resize_array(buf->mem, buf->ptr, size, 1) : pc_alloc(buf->mem, size);
    if (!grown)
        return fail(buf, PUSHERC_ENOMEM);
    if (!on_heap && buf->len)
        memcpy(grown, buf->ptr, buf->len);
    buf->ptr = grown;
    buf->cap = size;
    return buf->ptr + buf->len;
}

void pc_buf_put(struct pc_buf *buf, pusherc_slice bytes)
{
    char *to;
    if (bytes.len == 0)
        return;
    to = pc_buf_reserve(buf, bytes.len);
    if (!to)
        return;
    memcpy(to, bytes.ptr, bytes.len);
    buf->len += bytes.len;
}

void pc_buf_put_u64(struct pc_buf *buf, uint64_t number)
{
    char digits[PC_U64_DIGITS];
    pc_buf_put(buf, pc_slice(digits, pc_format_u64(number, digits)));
}

void pc_buf_consume(struct pc_buf *buf, size_t n)
{
    if (n == 0)
        return;
    buf->len -= n;
    memmove(buf->ptr, buf->ptr + n, buf->len);
}

int pc_buf_hand_over(const struct pc_buf *buf, char *out, size_t cap, size_t *len)
{
    if (pc_buf_status(buf))
        return PUSHERC_ENOMEM;
    if (!out || buf->len >= cap) {
        if (len)
            *len = buf->len + 1;
        return PUSHERC_ENOBUFS;
    }
    if (buf->len) /* without memory `ptr` is NULL */
        memcpy(out, buf->ptr, buf->len);
    out[buf->len] = '\0';
    if (len)
        *len = buf->len;
    return 0;
}
