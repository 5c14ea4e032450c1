#include "logs.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "common/change.h"
#include "common/program.h"
#include "events.h"
#include "servers.h"

int log_append(struct program *program, int64_t server_id, const char *name, const char *text)
{
    struct change change;
    size_t len = strlen(text);
    const char *end = len > 0 && text[len - 1] == '\n' ? "" : "\n";
    int64_t bytes = (int64_t)(len + strlen(end));
    change_begin(&change, program, 0, NULL);
    change_run(&change,
               "INSERT INTO chunks SELECT server_id, name, size, ?3 || ?4 FROM logs"
               " WHERE server_id = ?1 AND name = ?2",
               VALUES(INT(server_id), TEXT(name), TEXT(text), TEXT(end)));
    change_run(&change, "UPDATE logs SET size = size + ? WHERE server_id = ? AND name = ?",
               VALUES(INT(bytes), INT(server_id), TEXT(name)));
    change_run(&change,
               "DELETE FROM chunks WHERE server_id = ?1 AND name = ?2 AND start <"
               " (SELECT size - ?3 FROM logs WHERE server_id = ?1 AND name = ?2)",
               VALUES(INT(server_id), TEXT(name), INT(LOG_KEPT_BYTES)));
    event_tell(&change, EVENT_LOG, server_id, name);
    return change_end(&change);
}

struct piece {
    int64_t from, next; /* offsets; -1: not known yet */
    size_t len;
    char text[LOG_ANSWER_BYTES + 1];
};

/* Whole lines of a chunk, from where the piece ends, as many as have room. False if some have not. */
static bool add_chunk(struct piece *piece, int64_t start, const char *text)
{
    const char *at = text;
    size_t room = LOG_ANSWER_BYTES - piece->len;
    if (piece->next > start) /* the offset is inside: from the next line on */
        at = text + (piece->next - start);
    if (at > text && at[-1] != '\n')
        at = strchr(at, '\n') ? strchr(at, '\n') + 1 : at + strlen(at);
    size_t len = strlen(at);
    bool whole = len <= room;
    if (!whole) {
        const char *last = memrchr(at, '\n', room);
        len = last ? (size_t)(last - at) + 1 : 0;
    }
    memcpy(piece->text + piece->len, at, len);
    if (piece->len == 0)
        piece->from = start + (at - text);
    piece->len += len;
    piece->next = start + (at - text) + (int64_t)len;
    return whole;
}

static void send_piece(pusherc_http_request *request, const struct piece *piece, const char *name,
                       int64_t size)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddStringToObject(answer, "log", name);
    cJSON_AddNumberToObject(answer, "from", (double)piece->from);
    cJSON_AddNumberToObject(answer, "next", (double)piece->next);
    cJSON_AddNumberToObject(answer, "size", (double)size);
    cJSON_AddStringToObject(answer, "text", piece->text);
    http_send_json(request, 200, answer);
    cJSON_Delete(answer);
}

static void read_log(struct program *program, pusherc_http_request *request, int64_t server_id,
                     const char *name, int64_t from, int64_t size)
{
    struct piece *piece = calloc(1, sizeof *piece);
    cJSON *chunks =
        store_rows(program->store,
                   "WITH mine AS (SELECT * FROM chunks WHERE server_id = ?1"
                   " AND name = ?2), base AS (SELECT coalesce((SELECT max(start)"
                   " FROM mine WHERE start <= ?3), (SELECT min(start) FROM mine)) at)"
                   "SELECT start, text FROM mine, base WHERE start >= at"
                   " AND start < max(at, ?3) + ?4 ORDER BY start LIMIT 512",
                   VALUES(INT(server_id), TEXT(name), INT(from), INT(LOG_ANSWER_BYTES)));
    const cJSON *chunk = chunks ? chunks->child : NULL;
    if (piece) {
        piece->from = piece->next = from;
        while (chunk && add_chunk(piece, row_int(chunk, "start"), row_text(chunk, "text")))
            chunk = chunk->next;
        send_piece(request, piece, name, size);
    } else {
        http_send_error(request, 503, "There is no memory for it.");
    }
    cJSON_Delete(chunks);
    free(piece);
}

void logs_get(struct program *program, pusherc_http_request *request,
              const struct http_params *params)
{
    char name[16];
    char from[24];
    struct session session;
    int64_t server_id = strtoll(params->value[0], NULL, 10);
    if (!server_is_own(program, request, SERVER_READ, server_id, &session))
        return;
    if (!http_copy(name, sizeof name, pusherc_http_query(request, "log")))
        name[0] = '?'; /* too long for any */
    bool fits = http_copy(from, sizeof from, pusherc_http_query(request, "from"));
    cJSON *log =
        store_row(program->store, "SELECT name, size FROM logs WHERE server_id = ? AND name = ?",
                  VALUES(INT(server_id), TEXT(name[0] ? name : "provision")));
    int64_t size = row_int(log, "size");
    int64_t offset = size > LOG_ANSWER_BYTES ? size - LOG_ANSWER_BYTES : 0;
    if (from[0])
        offset = strtoll(from, NULL, 10);
    if (!log)
        http_send_error(request, 404, "There is no log of that name.");
    else if (!fits || strspn(from, "0123456789") != strlen(from))
        http_send_error(request, 422, "An offset is a number.");
    else if (offset > size)
        http_send_error(request, 416, "The log is not that long.");
    else
        read_log(program, request, server_id, row_text(log, "name"), offset, size);
    cJSON_Delete(log);
}
