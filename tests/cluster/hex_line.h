/* Requests and answers of authority_host.c and redis_host.c, a line each. */
#ifndef TESTS_CLUSTER_HEX_LINE_H
#define TESTS_CLUSTER_HEX_LINE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pusherc/cluster.h>

#define HEX_MAX_ARGS 1024

/* The time in microseconds, the step's number, and its arguments in hexadecimal, "-" for an empty one. */
struct hex_line {
    uint64_t us;
    pusherc_step step;
    size_t count;
    pusherc_slice args[HEX_MAX_ARGS];
};

static inline unsigned nibble(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* In place. */
static inline pusherc_slice from_hex(char *hex)
{
    size_t len = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
    for (size_t i = 0; i < len; i++)
        hex[i] = (char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
    return (pusherc_slice){hex, len};
}

/* The arguments lie in the line. */
static inline struct hex_line read_hex_line(char *line)
{
    struct hex_line request = {0};
    char *rest;
    request.us = strtoull(line, &rest, 10);
    request.step = (pusherc_step)strtol(rest, &rest, 10);
    for (char *arg = strtok(rest, " \n"); arg && request.count < HEX_MAX_ARGS;
         arg = strtok(NULL, " \n"))
        request.args[request.count++] = from_hex(arg);
    return request;
}

static inline void print_hex(pusherc_slice s)
{
    if (s.len == 0)
        printf(" -");
    else
        putchar(' ');
    for (size_t i = 0; i < s.len; i++)
        printf("%02x", (unsigned char)s.ptr[i]);
}

static inline void print_values(const pusherc_slice *values, size_t count)
{
    putchar('a');
    for (size_t i = 0; i < count; i++)
        print_hex(values[i]);
    putchar('\n');
}

#endif
