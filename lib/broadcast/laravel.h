/*
 * What Laravel's "redis" broadcaster publishes: the prefix of an application's channels in Redis, and the message of an
 * event. redis: writes it, feed/ reads it. No socket.
 */
#ifndef PC_BROADCAST_LARAVEL_H
#define PC_BROADCAST_LARAVEL_H

#include <pusherc/publish.h>

#include "base/buf.h"

/* Appends the prefix that Laravel makes of an application's name (APP_NAME; empty: "laravel"). `gap` is '-', or '_' for
 * Laravel's of before: "My App" has "my-app-database-" or "my_app_database_". */
void pc_laravel_put_prefix(struct pc_buf *buf, pusherc_slice app_name, char gap);

/* Appends {"event":...,"data":{...,"socket":null},"socket":null}, which Laravel publishes on each channel of an event.
 * Data that is no JSON object has no "socket" in it; data that is no JSON at all becomes a string. */
void pc_laravel_put_message(struct pc_buf *buf, const pusherc_event *event);

struct pc_laravel_message {
    pusherc_slice name, data; /* in the text or in `scratch` */
    pusherc_socket_id except; /* zero = none, or no id of this library's servers */
};

/* Reads such a message. The data is what Laravel's drivers for Pusher send: without the member "socket", and as an array
 * if PHP's array was a list, which that member has made an object. 0; PUSHERC_EINVAL: it is none; PUSHERC_ENOMEM. */
PC_CHECKED int pc_laravel_read_message(struct pc_laravel_message *out, pusherc_slice text,
                                       struct pc_buf *scratch);

#endif
