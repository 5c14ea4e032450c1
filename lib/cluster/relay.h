/*
 * Publications on their way to other nodes and from them. One is sent again if the link was lost before it was answered:
 * each has a number among its node's publications in the partition, and a node drops what it has had.
 */
#ifndef PC_CLUSTER_RELAY_H
#define PC_CLUSTER_RELAY_H

#include "cluster/node.h"

/* A publication as nodes say it to each other, taken apart. */
struct pc_heard {
    pusherc_slice origin;
    uint64_t number;
    bool cacheable;
    pusherc_socket_id except;
    pusherc_slice user_id, event, data;
};

/* Sets the engine's relay. */
void pc_relay_init(struct pusherc_link *node);
void pc_relay_free(struct pusherc_link *node);

/* The node's thread, like the rest. Sends what waits, as far as the link takes it. */
void pc_relay_send(struct pc_node_part *part);
/* Without a link: drops what has waited for too long. */
void pc_relay_age(struct pc_node_part *part);
/* The link is lost: what waits to be kept is delivered here, and not when it comes back. */
void pc_relay_lost(struct pc_node_part *part);
/* False: the text makes no sense. */
bool pc_relay_parse(const struct pusherc_link *node, pusherc_slice text, struct pc_heard *out);
/* Notes that it was heard. False: it was heard before, or delivered without being heard, or memory ran out. */
bool pc_relay_is_news(struct pc_node_part *part, const struct pc_heard *heard);
/* The same without noting it. */
bool pc_relay_would_be_news(const struct pc_node_part *part, const struct pc_heard *heard);
/* Delivers it to clients here. */
void pc_relay_deliver(struct pusherc_link *node, const struct pc_app *app, pusherc_slice channel,
                      const struct pc_heard *heard);
/* Appends what a channel keeps. */
void pc_relay_put_kept(struct pc_buf *out, const struct pc_heard *kept);
/* A publication of another node, or one of ours that comes back. False: it makes no sense. */
bool pc_relay_hears(struct pc_node_part *part, pusherc_slice key, pusherc_slice text);

#endif
