/*
 * Tells the service manager the state of the server, like sd_notify(): one datagram to the socket in NOTIFY_SOCKET.
 * Does nothing if that is not set, and ignores failures.
 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/* `state`: "READY=1" or "STOPPING=1". */
void cli_notify(const char *state);

#endif
