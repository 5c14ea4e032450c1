/*
 * The table of an outbox, in SQLite: the only file that knows it. One thread for each table.
 *
 * A row is an event that waits, or one that was refused. Ids grow with each commit, and are not used again, so a reader
 * that knows the last id it has seen finds what is new.
 */
#ifndef PC_BROADCAST_OUTBOX_TABLE_H
#define PC_BROADCAST_OUTBOX_TABLE_H

#include <pusherc/outbox.h>

#include "base/mem.h"

struct pc_outbox_table;

/* Opens the database, and makes the table if it is not there. 0, PUSHERC_ENOMEM, PUSHERC_EIO, PUSHERC_ENOSYS. */
PC_CHECKED int pc_outbox_table_new(struct pc_outbox_table **out, const struct pc_mem *mem,
                                   const char *path, pusherc_errinfo *info);
void pc_outbox_table_free(struct pc_outbox_table *table); /* NULL is harmless */

/* What is read of a row; valid during the call. False: it, and those behind it, have to wait. */
typedef bool (*pc_outbox_row_fn)(void *ctx, int64_t id, const pusherc_event *event,
                                 pusherc_slice key);
/* Visits the waiting rows with an id above `after`, in order, at most `max`. 0 or PUSHERC_EIO. */
PC_CHECKED int pc_outbox_table_read(struct pc_outbox_table *table, int64_t after, uint32_t max,
                                    pc_outbox_row_fn visit, void *ctx);

/* Changes rows, in one transaction: begin, any of the next two, end. Each 0 or PUSHERC_EIO; after an error end with
 * `keep` false. */
PC_CHECKED int pc_outbox_table_begin(struct pc_outbox_table *table);
PC_CHECKED int pc_outbox_table_remove(struct pc_outbox_table *table, int64_t id);
PC_CHECKED int pc_outbox_table_refuse(struct pc_outbox_table *table, int64_t id,
                                      pusherc_slice reason);
PC_CHECKED int pc_outbox_table_end(struct pc_outbox_table *table, bool keep);

/* Rows that wait, rows that were refused, and when the oldest of the first was made. 0 or PUSHERC_EIO. */
PC_CHECKED int pc_outbox_table_count(struct pc_outbox_table *table, uint64_t *waiting,
                                     uint64_t *refused, uint64_t *oldest_unix_ms);

/* The last error in words. */
const char *pc_outbox_table_error(const struct pc_outbox_table *table);

#endif
