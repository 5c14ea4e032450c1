/*
 * A program that links the library and does what a test tells it: its configuration is one JSON object on
 * the command line, commands come as JSON lines on standard input, and answers and the library's
 * questions go out as JSON lines on standard output. tests/integration/lib.js drives it.
 *
 * It runs until standard input ends, and then leaves nothing behind: a leak is a failure under the
 * address sanitizer, anything else that remains is a status other than 0.
 */
#ifndef HOST_H
#define HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include <cjson/cJSON.h>
#include <pusherc/pusherc.h>

#define HOST_MAX_SERVERS 4
/* See resolver.c. */
#define HOST_SLOW_LOOKUP_S 5

enum question {
    QUESTION_IDENTIFY,
    QUESTION_FIND_APP,
    QUESTION_HTTP,
    QUESTION_AUTHORIZE
};

/* A question of the library that waits for a command to answer it. */
struct asked {
    struct asked *next;
    unsigned number;
    enum question kind;
    void *request;
};

struct host {
    cJSON *config;
    pusherc_server *servers[HOST_MAX_SERVERS];
    size_t server_count;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool input_ended;
    int wake_fd;   /* becomes readable then; -1 = no loop waits for that */
    unsigned jobs; /* threads of commands that have not answered yet */
    struct asked *asked;
    unsigned last_asked;

    cJSON *answers;      /* of the rules; behind the lock */
    unsigned authorized; /* times that they were asked; the same */
    atomic_int rendered;

    atomic_int identities; /* handed over with an identity and not freed yet */
};

/* -- host.c -- */

/* Prints one line and deletes it. Any thread. */
void host_say(cJSON *line);
cJSON *host_event(const char *name);
void host_die(const char *what, const char *which);

/* Copies of borrowed text. */
void host_add_slice(cJSON *object, const char *name, pusherc_slice text);
void host_add_socket_id(cJSON *object, pusherc_socket_id id);
void host_add_rc(cJSON *object, int err);

pusherc_slice host_slice(const cJSON *text);
/* "" unless there is such a string. */
const char *host_string(const cJSON *object, const char *name);
double host_number(const cJSON *object, const char *name, double otherwise);

struct app_memory {
    const char **origins;
    struct webhooks *webhooks;
    pusherc_history_pattern *history;
};

/* Fills the options from an object; strings stay borrowed from it. */
void host_read_app(const cJSON *object, pusherc_app_options *options, struct app_memory *memory);
void host_free_app(struct app_memory *memory);

/* -- hooks.c -- */

void hooks_fill(struct host *host, pusherc_hooks *hooks);
/* Commands that answer a question; false if it is no such command. */
bool hooks_answer(struct host *host, const char *command, const cJSON *line, cJSON *reply);
/* A question that waits for a command: `event` says what is asked, and gets a number to be answered by. */
void hooks_ask(struct host *host, enum question kind, void *request, cJSON *event);
void *hooks_take(struct host *host, enum question kind, const cJSON *line);
/* Answers the requests that are still open: every request has an owner until it is answered. */
void hooks_answer_rest(struct host *host);

/* -- rules.c -- */

/* Before the server starts. */
void rules_add(struct host *host, pusherc_server *server);
/* Commands about rules; false if it is no such command. */
bool rules_obey(struct host *host, pusherc_server *server, const char *command, const cJSON *line,
                cJSON *reply);

/* -- commands.c -- */

/* Reads commands until standard input ends. */
void commands_run(struct host *host);

#endif
