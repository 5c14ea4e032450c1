/* The life of a server's link with others. */
#ifndef PC_SERVER_CLUSTER_H
#define PC_SERVER_CLUSTER_H

#include <pusherc/server.h>

/* Starts the link, if the server has one. 0, or what the link's start returned. */
int pc_server_cluster_start(pusherc_server *server);
/* The link makes no report after this. */
void pc_server_cluster_stop(pusherc_server *server);

#endif
