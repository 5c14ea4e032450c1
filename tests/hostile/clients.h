/*
 * Thousands of clients in one process that all do the same, for programs that attack a server or look at it meanwhile.
 * What cannot be done ends the process. One thread.
 */
#ifndef TESTS_HOSTILE_CLIENTS_H
#define TESTS_HOSTILE_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pusherc/types.h>

#define CLIENTS_KEY     "app-key"
#define CLIENTS_SECRET  "app-secret"
#define CLIENTS_CHANNEL "presence-all" /* of clients_join() */
#define CLIENTS_UPGRADE                                                                            \
    "GET /app/" CLIENTS_KEY "?protocol=7 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"           \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                          \
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"

struct client {
    int fd;
    bool heard;
    char tail[24]; /* what it got last, which may be the beginning of what it waits for */
    pusherc_socket_id id;
};

/* Ends the process with what errno says if `good` is false. */
void must(bool good, const char *what);
/* Raises the limit of descriptors to the hard one, which has to be more than `count`. */
void must_have_descriptors(size_t count);

/*
 * port       of the server on 127.0.0.1
 * addresses  the clients come from so many addresses, 127.1.0.1 and on, in turn; 0 = from 127.0.0.1
 */
void clients_begin(uint16_t port, unsigned addresses);
/* From now on the kernel takes little for a new client that does not read, as if its memory were another machine's. */
void clients_take_little(void);
/* A socket that connects to the server; *c is what epoll tells. */
void client_dial(struct client *c);
/* Sends one message. False: the connection has ended. */
bool client_says(const struct client *c, const char *text);
void client_say(const struct client *c, const char *text);
/* Sends the first so many bytes of CLIENTS_UPGRADE, or all. */
void client_send_upgrade(const struct client *c, size_t len);
/* The last call on a client's socket has failed because it would have had to wait. */
bool client_waits(void);
/* Reads what has come. False: the connection has ended. */
bool client_drains(const struct client *c);
/* Closes the socket, with a reset or in order. */
void client_leave(struct client *c, bool with_reset);

/* Connect them all, a hundred at a time, and wait until they are established. */
void clients_enter(struct client *clients, size_t count);
/* Each joins CLIENTS_CHANNEL as a user of its own, from the number `first` on. */
void clients_join(struct client *clients, size_t count, size_t first);
/* Reads what comes at any client until `wanted` of these have heard `text`. */
void clients_hear(struct client *clients, size_t count, size_t wanted, const char *text);
/* Reads until the client is sent `before`, and the text behind it up to the next quote. */
void clients_hear_value(const struct client *c, const char *before, char *out, size_t size);
/* Reads what comes at any client until nothing has come for a while. Those that are closed leave. */
void clients_drain(void);
/* Closes them all at once, every other one with a reset. */
void clients_vanish(struct client *clients, size_t count);
/* Waits for what happens at any client, for at most so long. Returns how many, and which; see epoll_wait(). */
int clients_wait(struct client *out[256], int ms);

#endif
