/*
 * A growing run of bytes with a maximum. Failure is sticky: after the first append that does not
 * fit or cannot be allocated, appends do nothing and pc_buf_status() tells why, so that a writer
 * checks once.
 */
#ifndef PC_BASE_BUF_H
#define PC_BASE_BUF_H

#include "base/mem.h"
#include "base/slice.h"

struct pc_buf {
    const struct pc_mem *mem; /* borrowed */
    char *ptr;                /* owned, unless it is `lent` */
    char *lent;               /* caller's memory to start in, or NULL */
    size_t len, cap, max;     /* bytes */
    int status;               /* 0, PUSHERC_ENOMEM or PUSHERC_ELIMIT */
};

void pc_buf_init(struct pc_buf *buf, const struct pc_mem *mem, size_t max);
/* Starts in `storage` (often the stack) and moves to the heap only when that is full. */
void pc_buf_init_in(struct pc_buf *buf, const struct pc_mem *mem, size_t max, char *storage,
                    size_t storage_size);
/* Frees the memory; the buffer is as after init, without lent storage. */
void pc_buf_free(struct pc_buf *buf);
/* Empties the buffer, keeps its memory, clears a failure. */
void pc_buf_clear(struct pc_buf *buf);

/* Makes room for `extra` more bytes and returns the address to write them at; NULL: status is set.
 * The bytes written belong to the buffer after pc_buf_advance(). */
char *pc_buf_reserve(struct pc_buf *buf, size_t extra);
static inline void pc_buf_advance(struct pc_buf *buf, size_t written)
{
    buf->len += written;
}

void pc_buf_put(struct pc_buf *buf, pusherc_slice bytes); /* bytes of another object */
void pc_buf_put_u64(struct pc_buf *buf, uint64_t number); /* decimal */
static inline void pc_buf_put_char(struct pc_buf *buf, char c)
{
    if (buf->len < buf->cap && buf->status == 0)
        buf->ptr[buf->len++] = c;
    else
        pc_buf_put(buf, pc_slice(&c, 1));
}

/* Removes the first n bytes; n <= len. */
void pc_buf_consume(struct pc_buf *buf, size_t n);

static inline int pc_buf_status(const struct pc_buf *buf)
{
    return buf->status;
}
static inline pusherc_slice pc_buf_slice(const struct pc_buf *buf)
{
    return pc_slice(buf->ptr, buf->len);
}

/* Copies the text to a host's buffer of `cap` bytes and ends it with NUL, as the top of pusherc/sign.h describes: 0,
 * PUSHERC_ENOBUFS, or PUSHERC_ENOMEM if the buffer has failed. */
PC_CHECKED int pc_buf_hand_over(const struct pc_buf *buf, char *out, size_t cap, size_t *len);

#endif
