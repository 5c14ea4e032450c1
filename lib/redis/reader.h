/*
 * What is said to Redis and what it answers, in version 2 of its protocol. No socket. hiredis reads the answers; no other
 * part of it is used.
 */
#ifndef PC_REDIS_READER_H
#define PC_REDIS_READER_H

#include "base/buf.h"

/* -- commands -- */

/* Appends a command word by word: first how many words it has, then each. */
void pc_redis_put_count(struct pc_buf *buf, size_t count);
void pc_redis_put_word(struct pc_buf *buf, pusherc_slice word);
/* A word that is written in parts. */
void pc_redis_put_parts(struct pc_buf *buf, const pusherc_slice *parts, size_t count);
/* Appends a whole command. */
void pc_redis_put_command(struct pc_buf *buf, const pusherc_slice *words, size_t count);

/* -- answers -- */

enum pc_redis_type {
    PC_REDIS_STRING,
    PC_REDIS_STATUS,
    PC_REDIS_ERROR,
    PC_REDIS_INTEGER,
    PC_REDIS_NIL,
    PC_REDIS_ARRAY
};

struct pc_redis_item {
    enum pc_redis_type type;
    int64_t number;     /* an integer; how many items an array has */
    pusherc_slice text; /* of the first three */
};

/* The first item is the answer; the items of an array follow it, each with its own items behind it. */
struct pc_redis_reply {
    const struct pc_redis_item *items;
    size_t count;
};

struct pc_redis_reader;
/* An answer that is longer than that, as bytes or as items, is an error. NULL: out of memory. */
PC_CHECKED struct pc_redis_reader *pc_redis_reader_new(const struct pc_mem *mem, size_t max_bytes);
void pc_redis_reader_free(struct pc_redis_reader *reader); /* NULL is harmless */
/* 0, PUSHERC_ENOMEM, PUSHERC_EPROTO; after an error the connection is of no use. */
PC_CHECKED int pc_redis_reader_feed(struct pc_redis_reader *reader, pusherc_slice bytes);
/* 1: *out is the next answer, valid until the next call for this reader; 0: more bytes are needed; PUSHERC_EPROTO,
 * PUSHERC_ENOMEM. */
PC_CHECKED int pc_redis_reader_next(struct pc_redis_reader *reader, struct pc_redis_reply *out);

#define PC_REDIS_LINE 160
/* The beginning of a text that Redis sent, as one line of ASCII. */
void pc_redis_line(char *out, size_t size, pusherc_slice text);

#endif
