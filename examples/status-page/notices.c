#include "notices.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/change.h"
#include "common/program.h"
#include "services.h"

const char notice_no_title[] = "Give it a title of at most 120 characters.";
const char notice_no_message[] = "Say what there is to know, in at most 2,000 characters.";

/* Of an event about a notice n. */
#define TELL_NOTICE                                                                                \
    " n.id, n.title, n.state, s.label, n.effect,"                                                  \
    " iif(n.kind = 'incident', json_object('id', n.id, 'title', n.title, 'state', n.state,"        \
    " 'effect', n.effect), NULL) AS \"json:incident\","                                            \
    " iif(n.kind = 'maintenance', json_object('id', n.id, 'title', n.title, 'state', n.state,"     \
    " 'starts_at', strftime('%Y-%m-%dT%H:%M:%SZ', n.starts_at, 'unixepoch'), 'ends_at',"           \
    " strftime('%Y-%m-%dT%H:%M:%SZ', n.ends_at, 'unixepoch')), NULL) AS \"json:maintenance\""

void notice_add_update(struct change *change, int64_t notice_id, const char *event,
                       const char *state, const char *message, bool internal)
{
    change_run(change, "UPDATE notices SET state = ? WHERE id = ?",
               VALUES(TEXT(state), INT(notice_id)));
    change_run(
        change,
        "INSERT INTO notice_updates (notice_id, state, message, public, user_id, at)"
        " VALUES (?, ?, ?, ?, ?, unixepoch())",
        VALUES(INT(notice_id), TEXT(state), TEXT(message), INT(!internal), change_user(change)));
    change_tell(change, event,
                "SELECT n.public AND p.public public, p.message, u.name by,"
                " strftime('%Y-%m-%dT%H:%M:%SZ', p.at, 'unixepoch') timestamp," TELL_NOTICE
                " FROM notice_updates p JOIN notices n ON n.id = p.notice_id"
                " JOIN statuses s ON s.name = p.state LEFT JOIN users u ON u.id = p.user_id"
                " WHERE p.id = last_insert_rowid()",
                NO_VALUES);
}

void notice_tell_correction(struct change *change, int64_t notice_id, const char *event)
{
    change_tell(change, event,
                "SELECT n.public, '' message, u.name by,"
                " strftime('%Y-%m-%dT%H:%M:%SZ', 'now') timestamp," TELL_NOTICE
                " FROM notices n JOIN statuses s ON s.name = n.state LEFT JOIN users u ON u.id = ?"
                " WHERE n.id = ?",
                VALUES(change_user(change), INT(notice_id)));
}

bool notice_set_services(struct change *change, int64_t notice_id,
                         const pusherc_http_request *request, bool is_new)
{
    bool different = false;
    cJSON *services = store_rows(
        change->program->store,
        "SELECT s.id, n.service_id IS NOT NULL ticked FROM services s LEFT JOIN notice_services n"
        " ON n.service_id = s.id AND n.notice_id = ? WHERE s.organization_id = ?",
        VALUES(INT(notice_id), INT(change->about_id)));
    const cJSON *service;
    cJSON_ArrayForEach(service, services)
    {
        char name[32];
        snprintf(name, sizeof name, "service_%" PRId64, row_int(service, "id"));
        bool ticked = field_ticked(request, name);
        if (ticked == (row_int(service, "ticked") != 0))
            continue;
        different = true;
        change_run(change,
                   ticked ? "INSERT INTO notice_services VALUES (?, ?)"
                          : "DELETE FROM notice_services WHERE notice_id = ? AND service_id = ?",
                   VALUES(INT(notice_id), INT(row_int(service, "id"))));
    }
    cJSON_Delete(services);
    change_run(
        change,
        "UPDATE notices SET public = (public AND NOT ?1) OR (SELECT coalesce(max(s.public), 1)"
        " FROM notice_services n JOIN services s ON s.id = n.service_id"
        " WHERE n.notice_id = notices.id) WHERE id = ?2",
        VALUES(INT(is_new), INT(notice_id)));
    return different;
}

bool notice_read_title(char out[FIELD_LINE_BYTES], const pusherc_http_request *request)
{
    return field_line(out, FIELD_LINE_BYTES, request, "title") && out[0] &&
           field_characters(out) <= TITLE_MAX;
}
