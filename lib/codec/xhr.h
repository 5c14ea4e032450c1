/*
 * What clients without a WebSocket read and send over HTTP: the lines that SockJS has defined and pusher-js reads (section
 * 9.3 of the protocol). A line to the client goes out as one chunk of a chunked answer, so that the chunk is the same for
 * all clients that get it.
 */
#ifndef PC_CODEC_XHR_H
#define PC_CODEC_XHR_H

#include "base/buf.h"

#define PC_XHR_END "0\r\n\r\n" /* of a chunked answer */

/* Appends a chunk. PC_XHR_CHUNK_HEAD() is how much of it comes before the data; PC_XHR_CHUNK_TAIL bytes follow them. */
void pc_xhr_put_chunk(struct pc_buf *out, pusherc_slice data);
#define PC_XHR_CHUNK_TAIL 2
static inline size_t pc_xhr_chunk_head(pusherc_slice chunk)
{
    return pc_slice_find(chunk, '\n') + 1;
}

/* Append a line. A message is one text of the protocol. */
void pc_xhr_put_message(struct pc_buf *out, pusherc_slice message);
void pc_xhr_put_close(struct pc_buf *out, uint16_t code, pusherc_slice reason);

/* How long a browser says that a valid text is: in units of UTF-16. */
size_t pc_xhr_characters(pusherc_slice text);

/* What a client sends: an array of texts, each a message. `items` is for pc_json_next(); *count is how many there are.
 * PUSHERC_EPROTO: it is something else. */
struct pc_json_iter;
PC_CHECKED int pc_xhr_read(pusherc_slice body, struct pc_json_iter *items, size_t *count);

#endif
