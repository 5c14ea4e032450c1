#include "post.h"

#include <stdlib.h>
#include <string.h>

#include "client.h" /* of cli/ */
#include "common/say.h"

#define TIMEOUT_US   5000000
#define MAX_UNDERWAY 16

struct post {
    uv_work_t work;
    struct monitor *monitor;
    char *body; /* owned; cJSON's */
    int status; /* of the answer; 0: none */
    struct cli_error error;
};

static void post_on_thread(uv_work_t *work)
{
    struct post *post = work->data;
    struct cli_link link = {.timeout_us = TIMEOUT_US};
    struct cli_http_answer answer = {0};
    if (cli_target_parse(&link.target, post->monitor->alert_url, &post->error) == 0 &&
        cli_link_open(&link, NULL, false, NULL, &post->error) == 0) {
        const struct cli_http_request request = {
            .method = "POST",
            .target = *link.target.api.prefix ? link.target.api.prefix : "/",
            .body = post->body,
            .content_type = "application/json"};
        if (cli_link_ask(&link, &request, &answer, &post->error) == 0)
            post->status = answer.status;
    }
    cli_http_answer_free(&answer);
    cli_link_free(&link);
}

static void posted(uv_work_t *work, int status)
{
    struct post *post = work->data;
    (void)status;
    post->monitor->posts_under_way--;
    if (post->status < 200 || post->status > 299)
        say("the alert's URL: %s, status %d", post->error.text, post->status);
    cJSON_free(post->body);
    free(post);
}

void post_json(struct monitor *monitor, const cJSON *value)
{
    struct post *post = calloc(1, sizeof *post);
    char *body = cJSON_PrintUnformatted(value);
    if (post && body && monitor->posts_under_way < MAX_UNDERWAY) {
        post->work.data = post;
        post->monitor = monitor;
        post->body = body;
        if (uv_queue_work(monitor->program->loop, &post->work, post_on_thread, posted) == 0) {
            monitor->posts_under_way++;
            return;
        }
    }
    say("the alert's URL: too many wait for an answer");
    cJSON_free(body);
    free(post);
}
