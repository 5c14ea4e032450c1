/*
 * permessage-deflate (RFC 7692): one message at a time as raw DEFLATE, by zlib. No state is kept from one message to
 * the next: the server says so for both directions in the handshake (ws_extension.c). So one compressed form of an
 * event is for all clients that have agreed on the extension, and an idle connection needs no memory for it. Only
 * deflate.c knows zlib.
 */
#ifndef PC_CODEC_DEFLATE_H
#define PC_CODEC_DEFLATE_H

#include <stdbool.h>

#include "base/buf.h"

/* The window of what the server sends: 4 KiB, which loses nothing on messages of that size. Python's client asks for
 * this one. */
#define PC_DEFLATE_WINDOW_BITS 12

/* Compressors for all threads. Each takes 32 KiB; one is made for each thread that compresses at the same time. */
struct pc_deflaters;
/* 0; PUSHERC_ENOMEM; PUSHERC_ENOSYS: not compiled in. `mem` is borrowed. */
PC_CHECKED int pc_deflaters_new(struct pc_deflaters **out, const struct pc_mem *mem);
void pc_deflaters_free(struct pc_deflaters *deflaters); /* NULL is harmless */

/* Appends the compressed message. False: it would not be shorter, or memory ran out; the message can go as it is, and
 * what is in `out` is of no use. */
bool pc_deflate(struct pc_deflaters *deflaters, pusherc_slice message, struct pc_buf *out);

/* A decompressor for one thread. Takes 8 KiB, and 32 KiB more from the first long message on. */
struct pc_inflater;
struct pc_inflater *pc_inflater_new(const struct pc_mem *mem); /* NULL: out of memory */
void pc_inflater_free(struct pc_inflater *inflater);           /* NULL is harmless */

/* Appends the message. It stops at out->max, so that a small message cannot take more memory than a large one. 0;
 * PUSHERC_EPROTO: not the DEFLATE of a message; PUSHERC_ELIMIT: longer than out->max, or above PC_INFLATE_FREE bytes
 * more than PC_INFLATE_RATIO times as long as it came; PUSHERC_ENOMEM. */
PC_CHECKED int pc_inflate(struct pc_inflater *inflater, pusherc_slice compressed,
                          struct pc_buf *out);
#define PC_INFLATE_FREE  65536
#define PC_INFLATE_RATIO 100

#endif
