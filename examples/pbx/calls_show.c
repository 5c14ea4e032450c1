#include "calls.h"

#include <stdio.h>
#include <time.h>

#define ISO(column) "strftime('%Y-%m-%dT%H:%M:%fZ', " column " / 1000.0, 'unixepoch')"

#define COLUMNS                                                                                    \
    "CAST(c.id AS TEXT) id, c.call_id, c.from_number, c.to_number, c.did_id, c.status,"            \
    " c.extension_id, c.duration, " ISO("c.initiated_at") " initiated_at, " ISO(                   \
        "c.answered_at") " answered_at, " ISO("c.ended_at") " ended_at,"                           \
                                                            " max(c.initiated_revision, "          \
                                                            "coalesce(c.answered_revision, 0),"    \
                                                            " coalesce(c.ended_revision, 0)) "     \
                                                            "revision"

static void put_now(cJSON *answer)
{
    char text[40] = "";
    int64_t now = now_ms();
    time_t seconds = (time_t)(now / 1000);
    struct tm parts;
    size_t len =
        gmtime_r(&seconds, &parts) ? strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts) : 0;
    snprintf(text + len, sizeof text - len, ".%03dZ", (int)(now % 1000));
    cJSON_AddStringToObject(answer, "now", text);
    cJSON_AddNumberToObject(answer, "now_ms", (double)now);
}

cJSON *calls_active(struct program *program, int64_t organization_id)
{
    cJSON *answer = store_row(program->store, "SELECT revision FROM organizations WHERE id = ?",
                              VALUES(INT(organization_id)));
    if (!answer)
        return NULL;
    put_now(answer);
    cJSON_AddItemToObject(answer, "calls",
                          store_rows(program->store,
                                     "SELECT " COLUMNS " FROM calls c WHERE"
                                     " c.organization_id = ? AND c.ended_at IS NULL ORDER BY c.id",
                                     VALUES(INT(organization_id))));
    cJSON_AddItemToObject(
        answer, "extensions",
        store_rows(program->store,
                   "SELECT CAST(e.id AS TEXT) id, e.number, u.name FROM extensions e"
                   " LEFT JOIN users u ON u.id = e.user_id WHERE e.organization_id = ?",
                   VALUES(INT(organization_id))));
    return answer;
}

cJSON *calls_before(struct program *program, int64_t organization_id, int64_t before, int64_t limit,
                    const char *number)
{
#define PAGE(where)                                                                                \
    "SELECT p.*, e.number extension, u.name person FROM (SELECT " COLUMNS                          \
    ", c.organization_id FROM calls c WHERE " where                                                \
    " ORDER BY c.id DESC LIMIT ?3) p LEFT JOIN extensions e ON CAST(e.id AS TEXT) ="               \
    " p.extension_id AND e.organization_id = p.organization_id"                                    \
    " LEFT JOIN users u ON u.id = e.user_id ORDER BY CAST(p.id AS INTEGER) DESC"
#define WITH_NUMBER(column)                                                                        \
    "SELECT id FROM (SELECT id FROM calls WHERE organization_id = ?1 AND " column                  \
    " = ?4 AND id < ?2 ORDER BY id DESC LIMIT ?3)"
    static const char all[] = PAGE("c.organization_id = ?1 AND c.id < ?2");
    static const char some[] =
        PAGE("c.id IN (" WITH_NUMBER("from_number") " UNION " WITH_NUMBER("to_number") ")");
#undef PAGE
#undef WITH_NUMBER
    if (!number[0])
        return store_rows(program->store, all,
                          VALUES(INT(organization_id), INT(before), INT(limit)));
    return store_rows(program->store, some,
                      VALUES(INT(organization_id), INT(before), INT(limit), TEXT(number)));
}
