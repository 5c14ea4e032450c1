/*
 * --self-test: what `pusherc doctor` checks, of the server that the environment or the file of --env names. For programs
 * that link cli_doctor_dep and have self_test_sources.
 */
#ifndef COMMON_SELF_TEST_H
#define COMMON_SELF_TEST_H

#include "common/program.h"

/* `guarded`: a channel that must be refused to a client without a user. 0: nothing fails; or -1. */
int self_test_run(struct program *program, const char *guarded);

#endif
