/*
 * Messages to a client: each function appends the JSON text of one message to a buffer (protocol section 2.1:
 * "data" is a string everywhere except in pusher:error). The caller checks pc_buf_status() once at the end.
 * Arguments are valid UTF-8 with any characters; the functions escape them as JSON requires.
 */
#ifndef PC_PROTOCOL_MESSAGE_OUT_H
#define PC_PROTOCOL_MESSAGE_OUT_H

#include <pusherc/types.h>

#include "base/buf.h"
#include "protocol/close.h"

void pc_out_established(struct pc_buf *buf, pusherc_socket_id id, uint32_t activity_timeout_s);
void pc_out_ping(struct pc_buf *buf);
void pc_out_pong(struct pc_buf *buf);
/* code 0 = null. */
void pc_out_error(struct pc_buf *buf, uint16_t code, pusherc_slice message);
void pc_out_subscribed(struct pc_buf *buf, pusherc_slice channel);
/* presence: as pc_roster_put() writes it, escaped. */
void pc_out_subscribed_presence(struct pc_buf *buf, pusherc_slice channel, pusherc_slice presence);
/* type: "AuthError", "LimitReached", "SubscriptionError". */
void pc_out_subscription_error(struct pc_buf *buf, pusherc_slice channel, const char *type,
                               pusherc_slice error, int status);
/* info_json: JSON text, unescaped. */
void pc_out_member_added(struct pc_buf *buf, pusherc_slice channel, pusherc_slice user_id,
                         pusherc_slice info_json);
void pc_out_member_removed(struct pc_buf *buf, pusherc_slice channel, pusherc_slice user_id);
void pc_out_subscription_count(struct pc_buf *buf, pusherc_slice channel, uint64_t count);
void pc_out_cache_miss(struct pc_buf *buf, pusherc_slice channel);
void pc_out_signin_success(struct pc_buf *buf, pusherc_slice user_data);
/* Ids are of the channel alphabet; an empty list is left out. */
void pc_out_watchlist(struct pc_buf *buf, const pusherc_slice *online, size_t online_count,
                      const pusherc_slice *offline, size_t offline_count);
/* A published or client event; data is relayed as a JSON string; user_id len 0 = left out. */
void pc_out_event(struct pc_buf *buf, pusherc_slice event, pusherc_slice channel,
                  pusherc_slice data, pusherc_slice user_id);
/* Adds the member "event_id" to the end of the message that the buffer holds. */
void pc_out_add_id(struct pc_buf *buf, pusherc_slice id);
/* The number at the end of an id, in lower-case hexadecimal digits. */
#define PC_NUMBER_DIGITS 12
void pc_put_digits(char *out, size_t count, uint64_t value);
/* Writes the number over that of the id in an encoded message, to which pc_out_add_id() was applied last: as it is, or
 * as a line of an HTTP answer. So an event can be encoded before it has its number. */
void pc_message_renumber(char *message, size_t len, uint64_t number);
/* For a client that comes back: events may be missing; or all that it has missed has been sent. */
void pc_out_history_lost(struct pc_buf *buf, pusherc_slice channel);
void pc_out_resumed(struct pc_buf *buf, pusherc_slice channel, uint64_t events);
/* Bytes that pc_out_event() appends if nothing is escaped; escapes add to it. A hint for one allocation. */
size_t pc_out_event_size(pusherc_slice event, pusherc_slice channel, pusherc_slice data,
                         pusherc_slice user_id);

#endif
