#include "asking.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include <pusherc/sign.h>

#include "net/curl.h"

#define MAX_ANSWER_BYTES 65536
#define MAX_CONNECTIONS  64 /* to one host; further questions wait */
#define IDLE_MS          1000
#define WARN_EVERY_S     10
#define MAX_EXACT        9007199254740991.0 /* whole numbers up to here are exact in a double */

/* A rule with what asks for it: the user_data of its function. */
struct asked_rule {
    struct cli_asking *asking;
    const struct cli_rule *rule;
};

struct cli_asking {
    struct pc_curl curl;
    CURLM *multi;
    const char *ca_file; /* NULL = libcurl's own */
    struct asked_rule *rules;
    size_t rule_count;
    uint8_t secret[32]; /* makes users of credentials */
    pthread_t thread;
    bool started;
    pthread_mutex_t mutex;
    struct question *waiting, **waiting_end; /* under the mutex; in the order in which they came */
    bool stops;                              /* under the mutex */
    time_t warned_s;                         /* the thread's */
    uint64_t unreported;
};

struct question {
    struct question *next, *before; /* of the waiting; then of those under way */
    pusherc_auth_request *request;
    const struct asked_rule *of;
    CURL *easy;
    struct curl_slist *fields;
    char *body;
    char *answer; /* NUL-terminated; NULL = nothing has come */
    size_t answer_len, answer_size;
    char error[CURL_ERROR_SIZE];
};

/* -- what the client has sent -- */

/* The header fields of a client that go on to the URL. Those that make the user come first. */
static const char *const passed_on[] = {"Cookie",     "Authorization",   "Origin",
                                        "User-Agent", "Accept-Language", "X-Forwarded-Proto"};
#define PASSED_COUNT (sizeof passed_on / sizeof passed_on[0])
#define OF_THE_USER  2

/* One block: the lines "Name: value", NUL-terminated, one behind the other, and an empty one. */
struct credentials {
    char user_id[41]; /* "" = the client has sent nothing by which a user could be known */
    char lines[];
};

static char *add_line(char *at, const char *name, pusherc_slice value)
{
    size_t len = strlen(name);

    memcpy(at, name, len);
    memcpy(at + len, ": ", 2);
    memcpy(at + len + 2, value.ptr, value.len);
    at[len + 2 + value.len] = '\0';
    return at + len + 3 + value.len;
}

/* The same cookies and token are one user, so that its questions are asked once and its answers kept. The id tells
 * nothing of them. */
static void name_user(struct credentials *credentials, const struct cli_asking *asking,
                      const pusherc_slice values[PASSED_COUNT])
{
    const pusherc_slice secret = {(const char *)asking->secret, sizeof asking->secret};
    char hex[PUSHERC_HMAC_HEX_SIZE];
    size_t len = 0;

    for (size_t i = 0; i < OF_THE_USER; i++)
        len += values[i].len ? strlen(passed_on[i]) + values[i].len + 3 : 0;
    if (len && pusherc_hmac_sha256_hex(secret, (pusherc_slice){credentials->lines, len}, hex) == 0)
        (void)snprintf(credentials->user_id, sizeof credentials->user_id, "session-%.32s", hex);
}

static struct credentials *credentials_of(const struct cli_asking *asking,
                                          const pusherc_identify_request *request)
{
    pusherc_slice values[PASSED_COUNT], ip = pusherc_identify_client_ip(request);
    size_t size = sizeof(struct credentials) + sizeof "X-Forwarded-For: " + ip.len + 1;

    for (size_t i = 0; i < PASSED_COUNT; i++) {
        values[i] = pusherc_identify_header(request, passed_on[i]);
        size += strlen(passed_on[i]) + values[i].len + 3;
    }
    struct credentials *credentials = calloc(1, size);
    if (!credentials)
        return NULL;
    char *at = credentials->lines;
    for (size_t i = 0; i < PASSED_COUNT; i++)
        at = values[i].len ? add_line(at, passed_on[i], values[i]) : at;
    if (ip.len)
        (void)add_line(at, "X-Forwarded-For", ip);
    name_user(credentials, asking, values);
    return credentials;
}

/* True if a rule asks for this app. Clients of other apps stay anonymous, and their cookies are not read: a cookie that
 * counts keeps pages of other origins out. */
static bool asks_for(const struct cli_asking *asking, pusherc_slice app_id)
{
    for (size_t i = 0; i < asking->rule_count; i++) {
        const char *of = asking->rules[i].rule->app_id;
        if (!of || (strlen(of) == app_id.len && memcmp(of, app_id.ptr, app_id.len) == 0))
            return true;
    }
    return false;
}

static void identify(pusherc_identify_request *request, void *user_data)
{
    const struct cli_asking *asking = user_data;
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;

    if (!asks_for(asking, pusherc_identify_app_id(request))) {
        (void)pusherc_identify_accept(request, NULL);
        return;
    }
    struct credentials *credentials = credentials_of(asking, request);

    if (!credentials) {
        (void)pusherc_identify_reject(request, 0, "Out of memory");
        return;
    }
    identity.user_id = pusherc_slice_of(credentials->user_id);
    identity.data = credentials;
    identity.free_data = free;
    (void)pusherc_identify_accept(request, &identity);
}

/* -- a question -- */

static void question_free(struct question *q)
{
    const struct pc_curl *curl = &q->of->asking->curl;

    curl->slist_free_all(q->fields);
    if (q->easy)
        curl->easy_cleanup(q->easy);
    free(q->body);
    free(q->answer);
    free(q);
}

static bool add_field(struct question *q, const char *line)
{
    struct curl_slist *longer = q->of->asking->curl.slist_append(q->fields, line);

    if (longer)
        q->fields = longer;
    return longer != NULL;
}

static bool add_fields(struct question *q)
{
    const struct cli_rule *rule = q->of->rule;
    const struct credentials *credentials = pusherc_auth_conn_data(q->request);
    /* Laravel answers in JSON, and does not redirect to its login page, if it is asked as a script asks. */
    bool added = add_field(q, "Accept: application/json") &&
                 add_field(q, "X-Requested-With: XMLHttpRequest") && add_field(q, "Expect:");

    for (size_t i = 0; i < rule->field_count; i++)
        added = added && add_field(q, rule->fields[i]);
    for (const char *line = credentials ? credentials->lines : ""; *line; line += strlen(line) + 1)
        added = added && add_field(q, line);
    return added;
}

static char *put_encoded(char *at, pusherc_slice text)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] = "-._~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (memchr(plain, c, sizeof plain - 1)) {
            *at++ = (char)c;
        } else {
            *at++ = '%';
            *at++ = hex[c >> 4];
            *at++ = hex[c & 15];
        }
    }
    return at;
}

/* As pusher-js asks. */
static char *body_of(const pusherc_auth_request *request)
{
    pusherc_slice channel = pusherc_auth_channel(request);
    char id[PUSHERC_SOCKET_ID_STRLEN];
    char *body = malloc(sizeof "socket_id=&channel_name=" + sizeof id + 3 * channel.len);

    if (!body)
        return NULL;
    (void)pusherc_socket_id_format(pusherc_auth_socket_id(request), id);
    int len = sprintf(body, "socket_id=%s&channel_name=", id);
    *put_encoded(body + len, channel) = '\0';
    return body;
}

static size_t take_answer(char *data, size_t size, size_t count, void *user_data)
{
    struct question *q = user_data;
    size_t len = size * count;

    if (len > MAX_ANSWER_BYTES - q->answer_len)
        return 0; /* ends the request */
    if (q->answer_len + len >= q->answer_size) {
        size_t bigger = 2 * (q->answer_len + len) + 256;
        char *answer = realloc(q->answer, bigger);
        if (!answer)
            return 0;
        q->answer = answer;
        q->answer_size = bigger;
    }
    memcpy(q->answer + q->answer_len, data, len);
    q->answer_len += len;
    q->answer[q->answer_len] = '\0';
    return len;
}

static bool set_up(struct question *q)
{
    const struct cli_asking *asking = q->of->asking;
    const struct pc_curl *curl = &asking->curl;

    q->easy = curl->easy_init();
    q->body = body_of(q->request);
    if (!q->easy || !q->body || !add_fields(q))
        return false;
    if (asking->ca_file && curl->easy_setopt(q->easy, CURLOPT_CAINFO, asking->ca_file) != CURLE_OK)
        return false;
    return curl->easy_setopt(q->easy, CURLOPT_URL, q->of->rule->url) == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_PROXY, "") == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_TIMEOUT_MS, (long)q->of->rule->timeout_ms) ==
               CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_HTTPHEADER, q->fields) == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_POSTFIELDS, q->body) == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_WRITEFUNCTION, take_answer) == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_WRITEDATA, q) == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_ERRORBUFFER, q->error) == CURLE_OK &&
           curl->easy_setopt(q->easy, CURLOPT_PRIVATE, q) == CURLE_OK;
}

/* -- answers -- */

/* A failure is the operator's, so it is said, but not for each of a thousand clients. */
static void warn(struct cli_asking *asking, const struct question *q, const char *what)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    if (asking->warned_s && now.tv_sec - asking->warned_s < WARN_EVERY_S) {
        asking->unreported++;
        return;
    }
    struct cli_error text;
    (void)cli_fail(&text, "%s", what);
    (void)fprintf(stderr, "pusherc: warning: rule \"%s\": ", q->of->rule->pattern);
    cli_print_url(stderr, q->of->rule->url);
    (void)fprintf(stderr, " %s", text.text);
    if (asking->unreported)
        (void)fprintf(stderr, " (and %llu more like this)", (unsigned long long)asking->unreported);
    (void)fputc('\n', stderr);
    asking->warned_s = now.tv_sec ? now.tv_sec : 1;
    asking->unreported = 0;
}

static void fail(struct cli_asking *asking, const struct question *q, const char *what)
{
    warn(asking, q, what);
    (void)pusherc_auth_deny(q->request, 403, "The application could not be asked");
}

/* The user of an answer for a presence channel; false: it is no user id. */
static bool read_user(const cJSON *item, char number[32], pusherc_slice *out)
{
    if (cJSON_IsString(item)) {
        *out = pusherc_slice_of(item->valuestring);
        return true;
    }
    /* Another number may be the same double, and would be the same user. */
    if (!cJSON_IsNumber(item) || item->valuedouble > MAX_EXACT || item->valuedouble < -MAX_EXACT ||
        item->valuedouble != (double)(long long)item->valuedouble)
        return false;
    (void)snprintf(number, 32, "%lld", (long long)item->valuedouble);
    *out = pusherc_slice_of(number);
    return true;
}

static cJSON *parse(const char *text)
{
    return text ? cJSON_ParseWithOpts(text, NULL, 1) : NULL;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* What a yes says. */
struct said {
    cJSON *answer, *channel_data; /* owned */
    char *user_info;              /* owned */
    char number[32];
    pusherc_grant grant;
};

/* NULL: it is good. */
static const char *read_yes(struct said *said, const struct question *q)
{
    const struct cli_rule *rule = q->of->rule;
    pusherc_slice channel = pusherc_auth_channel(q->request);
    bool presence = channel.len > 9 && memcmp(channel.ptr, "presence-", 9) == 0;

    said->answer = parse(q->answer);
    /* Laravel's Redis broadcaster says `true`, and gives the member as an object. */
    if (!cJSON_IsObject(said->answer) && !cJSON_IsTrue(said->answer))
        return "answered with something that is no JSON object";
    const cJSON *data = member(said->answer, "channel_data");
    if (cJSON_IsString(data))
        data = said->channel_data = parse(data->valuestring);
    const cJSON *info = member(data, "user_info");
    bool named = read_user(member(data, "user_id"), said->number, &said->grant.user_id);
    if (presence && !named)
        return "answered for a presence channel without a user_id in channel_data";
    if (info && !cJSON_IsNull(info)) {
        said->user_info = cJSON_PrintUnformatted(info);
        if (!said->user_info)
            return "was asked without memory for its answer";
        said->grant.user_info_json = pusherc_slice_of(said->user_info);
    }
    if (!rule->view_field)
        return NULL;
    const cJSON *view = member(said->answer, rule->view_field);
    view = view ? view : member(info, rule->view_field);
    if (cJSON_IsString(view))
        said->grant.view = pusherc_slice_of(view->valuestring);
    return NULL;
}

static void allow(struct cli_asking *asking, const struct question *q)
{
    struct said said = {.grant = PUSHERC_GRANT_INIT};
    const char *wrong = read_yes(&said, q);

    said.grant.expires_in_ms = q->of->rule->expires_ms;
    if (wrong)
        fail(asking, q, wrong);
    else if (pusherc_auth_allow(q->request, &said.grant) == PUSHERC_EINVAL)
        warn(asking, q, "answered with a user or a view that is too long, or no UTF-8");
    cJSON_Delete(said.answer);
    cJSON_Delete(said.channel_data);
    cJSON_free(said.user_info);
}

static void deny(const struct question *q, long status)
{
    cJSON *answer = parse(q->answer);
    const cJSON *text = member(answer, "message");

    (void)pusherc_auth_deny(q->request, (int)status,
                            cJSON_IsString(text) && *text->valuestring ? text->valuestring : NULL);
    cJSON_Delete(answer);
}

static void take_result(struct cli_asking *asking, struct question *q, CURLcode result)
{
    char text[64];
    long status = 0;

    if (result != CURLE_OK) {
        fail(asking, q,
             result == CURLE_WRITE_ERROR ? "answered with too much"
             : *q->error                 ? q->error
                                         : asking->curl.easy_strerror(result));
        return;
    }
    (void)asking->curl.easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300) {
        allow(asking, q);
    } else if (status >= 400 && status < 500 && status != 429) {
        deny(q, status);
    } else {
        (void)snprintf(text, sizeof text, "answered %ld", status);
        fail(asking, q, text);
    }
}

/* -- the thread -- */

static void begin(struct cli_asking *asking, struct question *q, struct question **under_way)
{
    if (!set_up(q) || asking->curl.multi_add_handle(asking->multi, q->easy) != CURLM_OK) {
        fail(asking, q, "was not asked: out of memory");
        question_free(q);
        return;
    }
    q->before = NULL;
    q->next = *under_way;
    if (q->next)
        q->next->before = q;
    *under_way = q;
}

static void end(struct cli_asking *asking, struct question *q, struct question **under_way)
{
    (void)asking->curl.multi_remove_handle(asking->multi, q->easy);
    if (q->next)
        q->next->before = q->before;
    *(q->before ? &q->before->next : under_way) = q->next;
    question_free(q);
}

static void take_results(struct cli_asking *asking, struct question **under_way)
{
    CURLMsg *message;
    int left;

    while ((message = asking->curl.multi_info_read(asking->multi, &left))) {
        char *q = NULL;
        CURLcode result = message->data.result;

        if (message->msg != CURLMSG_DONE ||
            asking->curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &q) != CURLE_OK)
            continue;
        take_result(asking, (struct question *)(void *)q, result);
        end(asking, (struct question *)(void *)q, under_way);
    }
}

/* Takes all that waits; false: the end has come. */
static bool take_waiting(struct cli_asking *asking, struct question **out)
{
    (void)pthread_mutex_lock(&asking->mutex);
    bool stops = asking->stops;
    *out = asking->waiting;
    asking->waiting = NULL;
    asking->waiting_end = &asking->waiting;
    (void)pthread_mutex_unlock(&asking->mutex);
    return !stops;
}

static void *ask(void *user_data)
{
    struct cli_asking *asking = user_data;
    struct question *under_way = NULL, *waiting;
    int running;

    while (take_waiting(asking, &waiting)) {
        while (waiting) {
            struct question *q = waiting;
            waiting = q->next;
            begin(asking, q, &under_way);
        }
        (void)asking->curl.multi_perform(asking->multi, &running);
        take_results(asking, &under_way);
        (void)asking->curl.multi_poll(asking->multi, NULL, 0, IDLE_MS, NULL);
    }
    /* The server is freed, and no client waits for these. */
    while (waiting) {
        struct question *q = waiting;
        waiting = q->next;
        (void)pusherc_auth_deny(q->request, 0, NULL);
        question_free(q);
    }
    while (under_way) {
        (void)pusherc_auth_deny(under_way->request, 0, NULL);
        end(asking, under_way, &under_way);
    }
    return NULL;
}

/* The function of each rule, on a worker. */
static void authorize(pusherc_auth_request *request, void *user_data)
{
    const struct asked_rule *of = user_data;
    struct cli_asking *asking = of->asking;
    struct question *q = calloc(1, sizeof *q);

    if (!q) {
        (void)pusherc_auth_deny(request, 0, "Out of memory");
        return;
    }
    q->request = request;
    q->of = of;
    (void)pthread_mutex_lock(&asking->mutex);
    *asking->waiting_end = q;
    asking->waiting_end = &q->next;
    (void)pthread_mutex_unlock(&asking->mutex);
    (void)asking->curl.multi_wakeup(asking->multi);
}

/* -- the whole -- */

static int set_up_curl(struct cli_asking *asking, struct cli_error *error)
{
    if (!pc_curl_load(&asking->curl) || asking->curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return cli_fail(error, "rules: there is no libcurl here that could ask a URL");
    asking->multi = asking->curl.multi_init();
    if (!asking->multi)
        return cli_fail_no_memory(error);
    asking->ca_file = pc_curl_ca_file(&asking->curl, "");
    (void)asking->curl.multi_setopt(asking->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                                    (long)MAX_CONNECTIONS);
    return 0;
}

int cli_asking_new(struct cli_asking **out, const struct cli_rules *rules, pusherc_hooks *hooks,
                   struct cli_error *error)
{
    *out = NULL;
    if (rules->count == 0)
        return 0;
    struct cli_asking *asking = calloc(1, sizeof *asking);
    if (!asking)
        return cli_fail_no_memory(error);
    *out = asking;
    (void)pthread_mutex_init(&asking->mutex, NULL);
    asking->waiting_end = &asking->waiting;
    asking->rules = calloc(rules->count, sizeof *asking->rules);
    if (!asking->rules)
        return cli_fail_no_memory(error);
    asking->rule_count = rules->count;
    for (size_t i = 0; i < rules->count; i++)
        asking->rules[i] = (struct asked_rule){asking, &rules->items[i]};
    if (getrandom(asking->secret, sizeof asking->secret, 0) != (ssize_t)sizeof asking->secret)
        return cli_fail(error, "rules: the system gives no random bytes");
    hooks->identify = identify;
    hooks->user_data = asking;
    return set_up_curl(asking, error);
}

int cli_asking_add(struct cli_asking *asking, pusherc_server *server, struct cli_error *error)
{
    for (size_t i = 0; asking && i < asking->rule_count; i++) {
        pusherc_rule rule = asking->rules[i].rule->options;
        pusherc_errinfo info = {0};

        rule.authorize = authorize;
        rule.user_data = &asking->rules[i];
        int status = pusherc_server_add_rule(server, &rule, &info);
        if (status)
            return cli_fail(error, "rule %zu: %s", i + 1,
                            info.text[0] ? info.text : pusherc_strerror(status));
    }
    return 0;
}

int cli_asking_start(struct cli_asking *asking, struct cli_error *error)
{
    if (!asking)
        return 0;
    asking->started = pthread_create(&asking->thread, NULL, ask, asking) == 0;
    return asking->started ? 0 : cli_fail(error, "rules: no thread can be started");
}

void cli_asking_free(struct cli_asking *asking)
{
    if (!asking)
        return;
    if (asking->started) {
        (void)pthread_mutex_lock(&asking->mutex);
        asking->stops = true;
        (void)pthread_mutex_unlock(&asking->mutex);
        (void)asking->curl.multi_wakeup(asking->multi);
        (void)pthread_join(asking->thread, NULL);
    }
    if (asking->multi)
        (void)asking->curl.multi_cleanup(asking->multi);
    (void)pthread_mutex_destroy(&asking->mutex);
    free(asking->rules);
    free(asking);
}
