/**
 * @file receipt.h
 * Receipts: which users an event has reached. For each event and user the host learns when the event was written to a
 * connection of the user, and when a page of the user says that it has shown the event.
 *
 * The app's rules (pusherc_app_options.receipts, docs/receipts.md) say which events of which channels have receipts, where
 * in their data their id is, and by which client event a page says that it has shown some. pusherc_hooks.on_receipt tells
 * each receipt once: one of each kind for each channel, id and user, over all of the user's connections and all workers,
 * as long as the event is remembered (receipt_keep_s, max_receipt_bytes). Afterwards nothing is told of it.
 *
 * A user is the member of a presence channel; elsewhere the user that the connection has signed in as, or the one of its
 * identity. A connection without user gives no receipt, nor does one whose view does not get the event. On several servers
 * that share channels each host learns of its own clients.
 *
 * Since: 0.1.
 */
#ifndef PUSHERC_RECEIPT_H
#define PUSHERC_RECEIPT_H

#include <pusherc/error.h>
#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/** What has happened to the event. */
typedef enum pusherc_receipt_kind {
    /** All of its bytes were handed to the kernel for a connection of the user. They may still be lost on the way. */
    PUSHERC_RECEIPT_WRITTEN = 1,
    /** A page of the user has said, by the rule's client event, that it has shown the event. It may have got the event by
     *  other means than a connection, so that this can be the only receipt, or the first. */
    PUSHERC_RECEIPT_SHOWN
} pusherc_receipt_kind;

/** For the hook on_receipt. */
typedef struct pusherc_receipt {
    size_t struct_size;          /**< bytes of this struct, as the library knows it */
    pusherc_receipt_kind kind;   /**< what has happened */
    uint32_t reserved_;          /**< zero */
    pusherc_slice app_id;        /**< of the channel */
    pusherc_slice channel;       /**< that the event was published on */
    pusherc_slice event;         /**< its name */
    pusherc_slice id;            /**< as the rule finds it in the event's data, 1..200 bytes */
    pusherc_slice user_id;       /**< whom it has reached, 1 byte or more */
    pusherc_socket_id socket_id; /**< of the user's connection that was the first */
    uint64_t at_ms;              /**< when: Unix time in milliseconds */
} pusherc_receipt;

PUSHERC_END_DECLS

#endif /* PUSHERC_RECEIPT_H */
