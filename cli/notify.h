/*
 * Telling a service manager how it goes, as sd_notify() would: one datagram to the socket in NOTIFY_SOCKET. Nothing
 * happens where that is not set, or cannot be reached.
 */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/* "READY=1", "STOPPING=1". */
void cli_notify(const char *state);

#endif
