#include "connections.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "people.h"

void connections_note_denial(struct program *program, const pusherc_denial *denial)
{
    struct desk *desk = desk_of(program);
    size_t reason = (size_t)denial->reason;
    if (reason < sizeof desk->refused / sizeof desk->refused[0])
        desk->refused[reason]++;
}

static cJSON *describe_denials(const struct desk *desk)
{
    cJSON *denials = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof desk->refused / sizeof desk->refused[0]; i++) {
        if (desk->refused[i])
            cJSON_AddNumberToObject(denials, pusherc_denial_name((pusherc_denial_reason)i),
                                    (double)desk->refused[i]);
    }
    return denials;
}

/* What the page for Prometheus has, of all labels but one. */
struct reader {
    cJSON *limits;
    double count; /* of the latency */
    double bounds[32], below[32];
    size_t bound_count;
};

static bool label(char *out, size_t out_bytes, const char *line, const char *name)
{
    char wanted[32];
    snprintf(wanted, sizeof wanted, "%s=\"", name);
    const char *at = strstr(line, wanted);
    const char *end = at ? strchr(at + strlen(wanted), '"') : NULL;
    if (!end)
        return false;
    at += strlen(wanted);
    snprintf(out, out_bytes, "%.*s", (int)(end - at), at);
    return true;
}

static void read_bucket(struct reader *reader, const char *bound, double value)
{
    double limit = strcmp(bound, "+Inf") == 0 ? -1 : strtod(bound, NULL);
    size_t i = 0;
    if (limit < 0) {
        reader->count += value;
        return;
    }
    while (i < reader->bound_count && reader->bounds[i] < limit)
        i++;
    if (i == reader->bound_count && i < 32) {
        reader->bounds[i] = limit;
        reader->bound_count++;
    }
    if (i < 32)
        reader->below[i] += value;
}

static void read_line(struct reader *reader, const char *line)
{
    char text[64];
    const char *value = strrchr(line, ' ');
    if (!value || *line == '#')
        return;
    if (strstr(line, "limit_refusals_total{") && label(text, sizeof text, line, "limit")) {
        const cJSON *before = cJSON_GetObjectItem(reader->limits, text);
        double sum = strtod(value, NULL) + (before ? before->valuedouble : 0);
        cJSON_DeleteItemFromObject(reader->limits, text);
        if (sum > 0)
            cJSON_AddNumberToObject(reader->limits, text, sum);
    } else if (strstr(line, "broadcast_latency_ms_bucket{") &&
               label(text, sizeof text, line, "le")) {
        read_bucket(reader, text, strtod(value, NULL));
    }
}

static int read_lines(pusherc_slice chunk, void *user_data)
{
    char line[512];
    const char *end = chunk.ptr + chunk.len;
    for (const char *at = chunk.ptr; at < end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if (http_copy(line, sizeof line, (pusherc_slice){at, (size_t)(stop - at)}))
            read_line(user_data, line);
        at = stop + 1;
    }
    return 0;
}

/* The bound that so much of them are below; null: above all, or there were none. */
static void add_quantile(cJSON *to, const char *name, const struct reader *reader, double part)
{
    size_t i = 0;
    while (i < reader->bound_count && reader->below[i] < reader->count * part)
        i++;
    if (reader->count > 0 && i < reader->bound_count)
        cJSON_AddNumberToObject(to, name, reader->bounds[i]);
    else
        cJSON_AddNullToObject(to, name);
}

void connections_get(struct program *program, pusherc_http_request *request,
                     const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    const struct desk *desk = desk_of(program);
    pusherc_stats stats = PUSHERC_STATS_INIT;
    if (!person_needed(program, request, PERSON_READS, &session, &person))
        return;
    if (!person.admin) {
        http_send_error(request, 403, "Only admins can do that.");
        return;
    }
    cJSON *answer = cJSON_CreateObject();
    struct reader reader = {.limits = cJSON_CreateObject()};
    pusherc_server_stats(program->server, &stats);
    pusherc_server_metrics(program->server, read_lines, &reader);
    cJSON_AddNumberToObject(answer, "connections", (double)stats.connections);
    cJSON_AddNumberToObject(answer, "subscriptions", (double)stats.subscriptions);
    cJSON_AddItemToObject(answer, "denials", describe_denials(desk));
    cJSON_AddItemToObject(answer, "limits", reader.limits);
    cJSON_AddNumberToObject(answer, "replies_throttled", (double)desk->throttled);
    cJSON *latency = cJSON_AddObjectToObject(answer, "latency_ms");
    add_quantile(latency, "p50", &reader, 0.5);
    add_quantile(latency, "p99", &reader, 0.99);
    cJSON_AddNumberToObject(latency, "events", reader.count);
    cJSON *questions = cJSON_AddObjectToObject(answer, "ticket_questions");
    cJSON_AddNumberToObject(questions, "asked", (double)desk->questions);
    cJSON_AddNumberToObject(questions, "queries", (double)desk->batches);
    http_send_json(request, 200, answer);
    cJSON_Delete(answer);
}

void connections_echo(struct program *program, pusherc_http_request *request,
                      const struct http_params *params)
{
    (void)params;
    struct session session;
    struct person person;
    struct change change;
    if (!person_needed(program, request, PERSON_WRITES, &session, &person))
        return;
    change_begin(&change, program, person.id, NULL);
    change_to(&change, "private-user.%" PRId64, person.id);
    change_tell(&change, "desk.echo", "SELECT json_object('internal', json('false')) \"json:for\"",
                NO_VALUES);
    if (change_end(&change) == 0)
        http_send(request, &(struct http_answer){.status = 204});
    else
        http_send_error(request, 500, "It could not be published.");
}
