#include "codec/deflate.h"

#include <limits.h>
#include <pthread.h>

#include <zlib.h>

#include <pusherc/error.h>

/* Measured with JSON of 0.3 to 10 KB: level 6 takes twice the time for 5 % less, and more memory changes nothing. */
#define LEVEL     3
#define MEM_LEVEL 5
#define MAX_IDLE  8

/* Every message ends with these bytes, which are not sent: RFC 7692, section 7.2.1. */
static const char tail[4] = {0x00, 0x00, (char)0xff, (char)0xff};

static void *take(void *mem, unsigned count, unsigned size)
{
    return pc_alloc_array(mem, count, size);
}

static void give(void *mem, void *ptr)
{
    pc_free(mem, ptr);
}

/* zlib does not change what it is given here; its declaration does not say so. */
static void set_input(z_stream *z, pusherc_slice bytes)
{
    z->next_in = (Bytef *)(uintptr_t)bytes.ptr;
    z->avail_in = (uInt)bytes.len;
}

/* -- compressing -- */

struct deflater {
    struct deflater *next; /* idle */
    z_stream z;
};

struct pc_deflaters {
    struct pc_mem mem;
    pthread_mutex_t mutex; /* a leaf */
    struct deflater *idle;
    unsigned idle_count;
};

int pc_deflaters_new(struct pc_deflaters **out, const struct pc_mem *mem)
{
    *out = pc_alloc_zero(mem, sizeof **out);
    if (!*out)
        return PUSHERC_ENOMEM;
    (*out)->mem = *mem;
    pthread_mutex_init(&(*out)->mutex, NULL);
    return 0;
}

static void deflater_free(struct pc_deflaters *all, struct deflater *d)
{
    deflateEnd(&d->z);
    pc_free(&all->mem, d);
}

void pc_deflaters_free(struct pc_deflaters *all)
{
    if (!all)
        return;
    while (all->idle) {
        struct deflater *d = all->idle;
        all->idle = d->next;
        deflater_free(all, d);
    }
    pthread_mutex_destroy(&all->mutex);
    struct pc_mem mem = all->mem;
    pc_free(&mem, all);
}

static struct deflater *deflater_new(struct pc_deflaters *all)
{
    struct deflater *d = pc_alloc_zero(&all->mem, sizeof *d);
    if (!d)
        return NULL;
    d->z.zalloc = take;
    d->z.zfree = give;
    d->z.opaque = &all->mem;
    if (deflateInit2(&d->z, LEVEL, Z_DEFLATED, -PC_DEFLATE_WINDOW_BITS, MEM_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        pc_free(&all->mem, d);
        return NULL;
    }
    return d;
}

/* NULL: out of memory. */
static struct deflater *borrow(struct pc_deflaters *all)
{
    pthread_mutex_lock(&all->mutex);
    struct deflater *d = all->idle;
    if (d) {
        all->idle = d->next;
        all->idle_count--;
    }
    pthread_mutex_unlock(&all->mutex);
    return d ? d : deflater_new(all);
}

static void give_back(struct pc_deflaters *all, struct deflater *d)
{
    pthread_mutex_lock(&all->mutex);
    bool keep = all->idle_count < MAX_IDLE;
    if (keep) {
        d->next = all->idle;
        all->idle = d;
        all->idle_count++;
    }
    pthread_mutex_unlock(&all->mutex);
    if (!keep)
        deflater_free(all, d);
}

bool pc_deflate(struct pc_deflaters *all, pusherc_slice message, struct pc_buf *out)
{
    /* one byte less than the message, and the tail, which is taken off */
    size_t room = message.len - 1 + sizeof tail;
    if (message.len == 0 || room > INT_MAX)
        return false;
    char *at = pc_buf_reserve(out, room);
    struct deflater *d = at ? borrow(all) : NULL;
    if (!d)
        return false;
    set_input(&d->z, message);
    d->z.next_out = (Bytef *)at;
    d->z.avail_out = (uInt)room;
    /* with room left there is nothing more to come */
    bool shorter = deflate(&d->z, Z_SYNC_FLUSH) == Z_OK && d->z.avail_out > 0;
    if (shorter)
        pc_buf_advance(out, room - d->z.avail_out - sizeof tail);
    deflateReset(&d->z);
    give_back(all, d);
    return shorter;
}

/* -- decompressing -- */

struct pc_inflater {
    struct pc_mem mem;
    z_stream z;
};

struct pc_inflater *pc_inflater_new(const struct pc_mem *mem)
{
    struct pc_inflater *inflater = pc_alloc_zero(mem, sizeof *inflater);
    if (!inflater)
        return NULL;
    inflater->mem = *mem;
    inflater->z.zalloc = take;
    inflater->z.zfree = give;
    inflater->z.opaque = &inflater->mem;
    if (inflateInit2(&inflater->z, -MAX_WBITS) != Z_OK) {
        pc_free(mem, inflater);
        return NULL;
    }
    return inflater;
}

void pc_inflater_free(struct pc_inflater *inflater)
{
    if (!inflater)
        return;
    inflateEnd(&inflater->z);
    struct pc_mem mem = inflater->mem;
    pc_free(&mem, inflater);
}

/* What zlib's answer means for the message; 0: it goes on. A block that says it is the last one need not be it: RFC
 * 7692, section 7.2.3.4. */
static int status_of(z_stream *z, int answer)
{
    if (answer == Z_STREAM_END)
        answer = inflateReset(z);
    return answer == Z_OK || answer == Z_BUF_ERROR ? 0
           : answer == Z_MEM_ERROR                 ? PUSHERC_ENOMEM
                                                   : PUSHERC_EPROTO;
}

/* Appends what these bytes become; `most` is how long `out` may get. */
static int inflate_piece(z_stream *z, pusherc_slice bytes, size_t most, struct pc_buf *out)
{
    Bytef chunk[4096];
    int err = 0;
    set_input(z, bytes);
    do {
        z->next_out = chunk;
        z->avail_out = sizeof chunk;
        err = status_of(z, inflate(z, Z_SYNC_FLUSH));
        size_t len = sizeof chunk - z->avail_out;
        if (err == 0 && len > most - out->len)
            err = PUSHERC_ELIMIT;
        if (err == 0)
            pc_buf_put(out, pc_slice((const char *)chunk, len));
        err = err ? err : pc_buf_status(out);
    } while (err == 0 && (z->avail_in > 0 || z->avail_out == 0));
    return err;
}

int pc_inflate(struct pc_inflater *inflater, pusherc_slice compressed, struct pc_buf *out)
{
    z_stream *z = &inflater->z;
    size_t by_ratio =
        compressed.len < SIZE_MAX / PC_INFLATE_RATIO ? compressed.len * PC_INFLATE_RATIO : SIZE_MAX;
    size_t most = by_ratio > PC_INFLATE_FREE ? by_ratio : PC_INFLATE_FREE;
    if (compressed.len > UINT_MAX)
        return PUSHERC_ELIMIT;
    if (most > out->max)
        most = out->max;
    int err = inflate_piece(z, compressed, most, out);
    if (err == 0)
        err = inflate_piece(z, pc_slice(tail, sizeof tail), most, out);
    /* not at the end of a block: something is missing */
    if (err == 0 && !(z->data_type & 128))
        err = PUSHERC_EPROTO;
    inflateReset(z);
    return err;
}
