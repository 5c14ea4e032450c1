/*
 * Lines for the operator, on standard error.
 */
#ifndef COMMON_SAY_H
#define COMMON_SAY_H

/* One line: the program's name, ": ", the text. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

#endif
