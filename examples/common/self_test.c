#include "common/self_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../cli/doctor.h"
#include "common/say.h"

#define STEP_US 5000000
#define SLOW_US 1000000

static const char *of_environment(const char *name, void *user_data)
{
    (void)user_data;
    return getenv(name);
}

/* The file's settings are compared with each other first. False: there is no server to go on with. */
static bool find_server(struct cli_doctor *doctor, const char *file)
{
    struct cli_error error = {0};
    if (!file) {
        int found = cli_target_look_up(&doctor->link.target, of_environment, NULL, &error);
        if (found <= 0)
            cli_doctor_say(doctor, CLI_FINDING_ENV_LACKS, "%s", error.text);
        return found > 0;
    }
    doctor->env = calloc(1, sizeof *doctor->env);
    if (doctor->env && cli_dotenv_read(doctor->env, file, &error) == 0)
        return cli_doctor_check_env(doctor);
    say("%s", error.text);
    return false;
}

int self_test_run(struct program *program, const char *guarded)
{
    struct cli_doctor *doctor = calloc(1, sizeof *doctor);
    if (!doctor)
        return -1;
    doctor->json = program->json;
    doctor->findings = cJSON_CreateArray();
    doctor->link.timeout_us = STEP_US;
    doctor->slow_us = SLOW_US;
    doctor->given.origin = getenv("APP_URL"); /* of pages, if it is set */
    doctor->given.guarded = guarded;
    bool found = find_server(doctor, program->options->env);
    if (found)
        cli_doctor_check_server(doctor);
    cli_doctor_end(doctor);
    int status = found && !cli_doctor_has_failed(doctor) ? 0 : -1;
    if (doctor->env)
        cli_dotenv_free(doctor->env);
    free(doctor->env);
    cli_link_free(&doctor->link);
    cJSON_Delete(doctor->findings);
    free(doctor);
    return status;
}
