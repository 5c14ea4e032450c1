/* What the machine says that is being set up. Its token was shown once, when it was ordered; the database has its hash. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/accounts.h"
#include "common/fields.h"
#include "common/program.h"
#include "logs.h"
#include "steps.h"

/* True if it is the machine of this server; else the request is answered, the same way if there is no such server. */
static bool is_machine(struct program *program, pusherc_http_request *request, int64_t server_id)
{
    static const char scheme[] = "Bearer ";
    char token[TOKEN_BYTES] = "";
    char hash[TOKEN_BYTES];
    pusherc_slice text = pusherc_http_header(request, "authorization");
    if (text.len >= sizeof scheme - 1 && strncasecmp(text.ptr, scheme, sizeof scheme - 1) == 0)
        token_read(token,
                   (pusherc_slice){text.ptr + sizeof scheme - 1, text.len - (sizeof scheme - 1)});
    if (!token[0]) {
        http_send_error(request, 401, "Send the token of the machine: Authorization: Bearer ...");
        return false;
    }
    token_derive(hash, token, "machine");
    cJSON *server = store_row(program->store, "SELECT token_hash FROM servers WHERE id = ?",
                              VALUES(INT(server_id)));
    bool same = token_same(hash, row_text(server, "token_hash"));
    cJSON_Delete(server);
    if (!same)
        http_send_error(request, 403, "This is not the token of that server.");
    return same;
}

/* 0 if it is no step. */
static int read_step(const pusherc_http_request *request)
{
    char text[16];
    field_line(text, sizeof text, request, "step");
    if (!isdigit((unsigned char)text[0]) || strspn(text, "0123456789") != strlen(text))
        return 0;
    long step = strtol(text, NULL, 10);
    return step >= 1 && step <= STEPS ? (int)step : 0;
}

static void answer(const char *refused, int status, void *user_data)
{
    if (refused)
        http_send_error(user_data, 409, refused);
    else if (status != 0)
        http_send_error(user_data, 500, "It could not be written. Nothing was changed.");
    else
        http_send(user_data, &(struct http_answer){.type = "application/json",
                                                   .body = "{\"ok\":true}",
                                                   .body_bytes = 11});
}

void steps_callback(struct program *program, pusherc_http_request *request,
                    const struct http_params *params)
{
    static const char *const known[] = {"installing", "completed", "failed"};
    char status[16];
    char error[FIELD_LINE_BYTES];
    int64_t server_id = strtoll(params->value[0], NULL, 10);
    if (!is_machine(program, request, server_id))
        return;
    struct step_word word = {.step = read_step(request), .error = error};
    field_line(status, sizeof status, request, "status");
    field_line(error, sizeof error, request, "error");
    for (size_t i = 0; i < 3; i++) {
        if (strcmp(status, known[i]) == 0)
            word.status = known[i];
    }
    if (!word.step || !word.status)
        http_send_error(request, 422,
                        "A step is 1 to 10, its status installing, completed or failed.");
    else
        steps_move(program, server_id, &word, answer, request);
}

void steps_log(struct program *program, pusherc_http_request *request,
               const struct http_params *params)
{
    int64_t server_id = strtoll(params->value[0], NULL, 10);
    char *text = is_machine(program, request, server_id) ? malloc(LOG_ANSWER_BYTES) : NULL;
    if (!text)
        return;
    if (!field_text(text, LOG_ANSWER_BYTES, request, "text") || !text[0])
        http_send_error(request, 422, "Send lines of text, less than 64 KiB.");
    else
        answer(NULL, log_append(program, server_id, "provision", text), request);
    free(text);
}
