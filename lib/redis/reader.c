#include "redis/reader.h"

#include <hiredis/hiredis.h>

#include <pusherc/error.h>

/* -- commands -- */

static void put_head(struct pc_buf *buf, char kind, size_t n)
{
    pc_buf_put_char(buf, kind);
    pc_buf_put_u64(buf, n);
    pc_buf_put(buf, PC_S("\r\n"));
}

void pc_redis_put_count(struct pc_buf *buf, size_t count)
{
    put_head(buf, '*', count);
}

void pc_redis_put_parts(struct pc_buf *buf, const pusherc_slice *parts, size_t count)
{
    size_t len = 0;
    for (size_t i = 0; i < count; i++)
        len += parts[i].len;
    put_head(buf, '$', len);
    for (size_t i = 0; i < count; i++)
        pc_buf_put(buf, parts[i]);
    pc_buf_put(buf, PC_S("\r\n"));
}

void pc_redis_put_word(struct pc_buf *buf, pusherc_slice word)
{
    pc_redis_put_parts(buf, &word, 1);
}

void pc_redis_put_command(struct pc_buf *buf, const pusherc_slice *words, size_t count)
{
    pc_redis_put_count(buf, count);
    for (size_t i = 0; i < count; i++)
        pc_redis_put_word(buf, words[i]);
}

/* -- answers -- */

/* hiredis calls the functions below in the order in which items arrive. Their texts lie one after the other in `texts`,
 * which may move as it grows: the addresses are set when the answer is whole. */
struct pc_redis_reader {
    const struct pc_mem *mem;
    redisReader *reader;
    redisReplyObjectFunctions functions;
    size_t max_bytes;
    size_t waiting; /* bytes since the last whole answer */
    struct pc_buf texts, items;
};

static void *add(const redisReadTask *task, struct pc_redis_item item)
{
    struct pc_redis_reader *r = task->privdata;
    if (!task->parent) { /* a new answer */
        pc_buf_clear(&r->texts);
        pc_buf_clear(&r->items);
    }
    pc_buf_put(&r->texts, item.text);
    pc_buf_put(&r->items, pc_slice((const char *)&item, sizeof item));
    /* The reader takes NULL for a lack of memory, and stops. */
    return pc_buf_status(&r->texts) || pc_buf_status(&r->items) ? NULL : r;
}

static void *create_string(const redisReadTask *task, char *text, size_t len)
{
    struct pc_redis_item item = {.type = PC_REDIS_STRING, .text = pc_slice(text, len)};
    if (task->type == REDIS_REPLY_ERROR)
        item.type = PC_REDIS_ERROR;
    else if (task->type == REDIS_REPLY_STATUS)
        item.type = PC_REDIS_STATUS;
    return add(task, item);
}

#if HIREDIS_MAJOR >= 1
static void *create_array(const redisReadTask *task, size_t count)
#else
static void *create_array(const redisReadTask *task, int count)
#endif
{
    const struct pc_redis_reader *r = task->privdata;
    if ((size_t)count > r->max_bytes / sizeof(struct pc_redis_item))
        return NULL;
    return add(task, (struct pc_redis_item){.type = PC_REDIS_ARRAY, .number = (int64_t)count});
}

static void *create_integer(const redisReadTask *task, long long number)
{
    return add(task, (struct pc_redis_item){.type = PC_REDIS_INTEGER, .number = number});
}

static void *create_nil(const redisReadTask *task)
{
    return add(task, (struct pc_redis_item){.type = PC_REDIS_NIL});
}

static void free_nothing(void *reply)
{
    (void)reply;
}

struct pc_redis_reader *pc_redis_reader_new(const struct pc_mem *mem, size_t max_bytes)
{
    struct pc_redis_reader *r = pc_alloc_zero(mem, sizeof *r);
    if (!r)
        return NULL;
    r->mem = mem;
    r->max_bytes = max_bytes;
    r->functions = (redisReplyObjectFunctions){.createString = create_string,
                                               .createArray = create_array,
                                               .createInteger = create_integer,
                                               .createNil = create_nil,
                                               .freeObject = free_nothing};
    pc_buf_init(&r->texts, mem, max_bytes);
    pc_buf_init(&r->items, mem, max_bytes);
    r->reader = redisReaderCreateWithFunctions(&r->functions);
    if (!r->reader) {
        pc_free(mem, r);
        return NULL;
    }
    r->reader->privdata = r;
    return r;
}

void pc_redis_reader_free(struct pc_redis_reader *r)
{
    if (!r)
        return;
    redisReaderFree(r->reader);
    pc_buf_free(&r->texts);
    pc_buf_free(&r->items);
    pc_free(r->mem, r);
}

int pc_redis_reader_feed(struct pc_redis_reader *r, pusherc_slice bytes)
{
    r->waiting += bytes.len;
    if (r->waiting > r->max_bytes)
        return PUSHERC_EPROTO;
    return redisReaderFeed(r->reader, bytes.ptr, bytes.len) == REDIS_OK ? 0 : PUSHERC_ENOMEM;
}

static void set_texts(struct pc_redis_reader *r, struct pc_redis_reply *out)
{
    struct pc_redis_item *items = (struct pc_redis_item *)(void *)r->items.ptr;
    const char *at = r->texts.len ? r->texts.ptr : "";
    out->items = items;
    out->count = r->items.len / sizeof *items;
    for (size_t i = 0; i < out->count; i++) {
        items[i].text.ptr = at;
        at += items[i].text.len;
    }
}

int pc_redis_reader_next(struct pc_redis_reader *r, struct pc_redis_reply *out)
{
    void *reply = NULL;
    if (redisReaderGetReply(r->reader, &reply) != REDIS_OK)
        return pc_buf_status(&r->texts) == PUSHERC_ENOMEM ||
                       pc_buf_status(&r->items) == PUSHERC_ENOMEM
                   ? PUSHERC_ENOMEM
                   : PUSHERC_EPROTO;
    if (!reply)
        return 0;
    if (reply != r)
        return PUSHERC_EPROTO; /* of a type that only version 3 of the protocol has */
    r->waiting = r->reader->len - r->reader->pos;
    set_texts(r, out);
    return out->count ? 1 : PUSHERC_EPROTO;
}

void pc_redis_line(char *out, size_t size, pusherc_slice text)
{
    size_t kept = 0;
    for (; kept < text.len && kept < size - 1; kept++)
        out[kept] = text.ptr[kept] >= 0x20 && text.ptr[kept] < 0x7f ? text.ptr[kept] : '?';
    out[kept] = '\0';
}
