/*
 * One connection to a Redis server, on a loop of libuv. It is opened once and fails once; its owner makes the next one.
 * What is written before it is open waits. Answers come in the order of the commands, which the owner keeps.
 */
#ifndef PC_REDIS_CONN_H
#define PC_REDIS_CONN_H

#include <uv.h>

#include "net/tls_client.h"
#include "redis/reader.h"

struct pc_redis_conn;

/* Where Redis is. */
struct pc_redis_place {
    pusherc_slice host;
    uint16_t port;
    const struct pc_tls_trust
        *trust; /* over TLS; borrowed, outlives the connection; NULL = in the clear */
    /* The host is a Sentinel, which is asked where the master of this name is; len 0 = the host is Redis. Borrowed, as the
     * next two, until the connection is open. */
    pusherc_slice master;
    pusherc_slice sentinel_user, sentinel_password; /* len 0 = not given */
};

/* All on the loop's thread. */
struct pc_redis_conn_ops {
    void (*opened)(void *owner, struct pc_redis_conn *conn);
    /* False: the answer makes no sense, and the connection fails. */
    bool (*replied)(void *owner, struct pc_redis_conn *conn, const struct pc_redis_reply *reply);
    /* It is of no use any more and closes by itself. Once at most, and not after pc_redis_conn_close(). `reached`: it was
     * lost while it was open; otherwise the server could not be reached, or is none. `reason`: valid during the call. */
    void (*failed)(void *owner, struct pc_redis_conn *conn, bool reached, const char *reason);
    /* The system has taken what it had not taken at once. NULL = not needed. */
    void (*sent)(void *owner, struct pc_redis_conn *conn);
    /* libuv has closed all of it, and it is freed. Once, after it failed or was closed. */
    void (*gone)(void *owner);
};

/* Begins to connect. 0; PUSHERC_ENOMEM, PUSHERC_EIO: nothing was made, and no function will be called.
 * `mem` and `ops` are borrowed, `place` is copied. */
PC_CHECKED int pc_redis_conn_open(struct pc_redis_conn **out, const struct pc_mem *mem,
                                  uv_loop_t *uv, const struct pc_redis_place *place,
                                  size_t max_answer_bytes, const struct pc_redis_conn_ops *ops,
                                  void *owner);
/* Sends what the buffer has, and leaves it empty. 0; PUSHERC_ENOMEM: nothing was sent; PUSHERC_EIO: it is of no use any more. */
PC_CHECKED int pc_redis_conn_write(struct pc_redis_conn *conn, struct pc_buf *buf);
/* Bytes that have come since the last call. */
uint64_t pc_redis_conn_take_received(struct pc_redis_conn *conn);
/* Bytes that the system has not taken yet. */
size_t pc_redis_conn_unsent(const struct pc_redis_conn *conn);
/* Reads nothing more; goes on, if it was paused: 0, or PUSHERC_EIO, then it is of no use. What has been read already is
 * still told. */
void pc_redis_conn_pause(struct pc_redis_conn *conn);
PC_CHECKED int pc_redis_conn_resume(struct pc_redis_conn *conn);
/* Where Redis itself is; valid as long as the connection. Once it is open. */
struct pc_redis_place pc_redis_conn_place(const struct pc_redis_conn *conn);
/* Behind "Redis at HOST:PORT": what it means that nothing has come for too long. Static. */
const char *pc_redis_conn_silence(const struct pc_redis_conn *conn);
/* No function but `gone` is called any more. */
void pc_redis_conn_close(struct pc_redis_conn *conn);

#endif
