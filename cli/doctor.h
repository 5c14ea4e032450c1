/*
 * `pusherc doctor`: walks from the host's name to an event that arrives, and says at each step whether it is well.
 * doctor.c has the command, doctor_report.c the output, doctor_server.c, doctor_env.c and doctor_auth.c the checks,
 * doctor_rows.h what can be found. All but the command is for other programs, too: see examples/gateway-monitor.
 */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include "client.h"
#include "dotenv.h"

enum cli_finding {
#include "doctor_rows.h"
#define NAME(name, ...) CLI_FINDING_##name,
    CLI_FINDING_MAP(NAME)
#undef NAME
};

/* What is given on the command line; NULL = not given. */
struct cli_doctor_options {
    const char *ca_file, *address, *origin;
    const char *auth_endpoint, *channel, *cookie, *header;
    /* A channel that must be refused to a client without a user. Then rules decide about channels, so that signatures of
     * private ones are not tried. */
    const char *guarded;
};

struct cli_doctor {
    struct cli_doctor_options given;
    struct cli_link link;
    struct cli_dotenv *env; /* NULL = no file; owned by the command */
    int64_t slow_us;        /* an event that takes longer is late */
    bool json, colour;
    unsigned counts[3]; /* of each level */
    cJSON *findings;    /* with `json`: an array; owned */
};

/* Say a finding, with what was seen; an empty text if that is all. */
void cli_doctor_say(struct cli_doctor *doctor, enum cli_finding finding, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The last line, or all of the JSON. */
void cli_doctor_end(struct cli_doctor *doctor);
bool cli_doctor_has_failed(const struct cli_doctor *doctor);
/* What can be found, as JSON. */
void cli_doctor_list(void);

/* Settings of the file that contradict each other. Sets the target; false: there is none. */
bool cli_doctor_check_env(struct cli_doctor *doctor);
/* From the names to an event that arrives. */
void cli_doctor_check_server(struct cli_doctor *doctor);
/* The endpoint that given.auth_endpoint names, for a connection with that socket id. */
void cli_doctor_check_auth(struct cli_doctor *doctor, const char *socket_id);

#endif
