/*
 * A partition in Redis at the end of a pipe, for compare_redis.py: what authority_host.c does, by the scripts of lib/broker.
 *
 *     redis_host PORT
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <pusherc/pusherc.h>

#include "../require.h"
#include "broker/steps.h"
#include "hex_line.h"

#define PARTITION 7 /* any */

struct client {
    int socket;
    struct pc_redis_reader *reader;
};

static struct pc_mem mem;
static struct pc_broker_names names;
static struct pc_broker_shas shas;

static struct client client_new(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client c = {socket(AF_INET, SOCK_STREAM, 0), pc_redis_reader_new(&mem, 1u << 24)};
    REQUIRE(c.reader && c.socket >= 0);
    REQUIRE(connect(c.socket, (const struct sockaddr *)(const void *)&address, sizeof address) ==
            0);
    return c;
}

static void client_free(struct client *c)
{
    close(c->socket);
    pc_redis_reader_free(c->reader);
}

/* Sends the buffer and empties it. */
static void say(struct client *c, struct pc_buf *buf)
{
    REQUIRE(pc_buf_status(buf) == 0);
    for (size_t sent = 0; sent < buf->len;) {
        ssize_t n = write(c->socket, buf->ptr + sent, buf->len - sent);
        REQUIRE(n > 0);
        sent += (size_t)n;
    }
    pc_buf_clear(buf);
}

static struct pc_redis_reply hear(struct client *c)
{
    struct pc_redis_reply reply;
    char bytes[4096];
    int more;
    while ((more = pc_redis_reader_next(c->reader, &reply)) == 0) {
        ssize_t n = read(c->socket, bytes, sizeof bytes);
        REQUIRE(n > 0);
        REQUIRE(pc_redis_reader_feed(c->reader, pc_slice(bytes, (size_t)n)) == 0);
    }
    REQUIRE(more == 1);
    return reply;
}

static void load(struct client *c, struct pc_buf *buf)
{
    for (size_t i = 0; i < PC_BROKER_SCRIPTS; i++)
        pc_broker_put_script(buf, i);
    say(c, buf);
    for (size_t i = 0; i < PC_BROKER_SCRIPTS; i++) {
        struct pc_redis_reply reply = hear(c);
        if (reply.items[0].type != PC_REDIS_STRING) {
            fprintf(stderr, "%.*s\n", (int)reply.items[0].text.len, reply.items[0].text.ptr);
            exit(1);
        }
        memcpy(shas.text[i], reply.items[0].text.ptr, PC_BROKER_SHA);
    }
}

/* Prints what was published until now. */
static void print_messages(struct client *ear, struct pc_buf *buf)
{
    const pusherc_slice ping[] = {PUSHERC_LIT("PING")};
    pc_redis_put_command(buf, ping, 1);
    say(ear, buf);
    for (;;) {
        struct pc_redis_reply reply = hear(ear);
        struct pc_broker_topic topic;
        if (!pc_slice_eq(reply.items[1].text, PC_S("pmessage")))
            return;
        REQUIRE(pc_broker_topic_parse(&names, reply.items[3].text, &topic));
        REQUIRE(topic.partition == PARTITION);
        printf("m %d", (int)topic.topic);
        print_hex(topic.key);
        print_hex(reply.items[4].text);
        putchar('\n');
    }
}

static void serve(struct client *c, struct client *ear, struct pc_buf *buf, char *line)
{
    struct hex_line request = read_hex_line(line);
    struct pc_values values;
    int err = pc_broker_put_step(buf, &names, &shas, PARTITION, request.step, request.us,
                                 request.args, request.count);
    if (err) {
        pc_buf_clear(buf);
        printf("e %s\n", pusherc_err_name(err));
        return;
    }
    say(c, buf);
    struct pc_redis_reply reply = hear(c);
    if (reply.items[0].type == PC_REDIS_ERROR) {
        printf("e %.*s\n", (int)reply.items[0].text.len, reply.items[0].text.ptr);
        return;
    }
    pc_values_init(&values, &mem);
    err = pc_broker_answer(request.step, &reply, &values);
    print_messages(ear, buf);
    if (err)
        printf("e %s\n", pusherc_err_name(err));
    else
        print_values(pc_values_list(&values), values.count);
    pc_values_free(&values);
}

int main(int argc, char **argv)
{
    const pusherc_slice words[] = {PUSHERC_LIT("PSUBSCRIBE"), PUSHERC_LIT("x:*")};
    struct pc_buf buf;
    char *line = NULL;
    size_t size = 0;
    REQUIRE(argc == 2);
    mem = pc_mem_make(NULL);
    pc_buf_init(&buf, &mem, SIZE_MAX);
    REQUIRE(pc_broker_names_init(&names, &mem, PC_S("x:")) == 0);
    printf("%.*s\n", (int)names.heads[PARTITION].len, names.heads[PARTITION].ptr);
    struct client c = client_new((uint16_t)atoi(argv[1])),
                  ear = client_new((uint16_t)atoi(argv[1]));
    load(&c, &buf);
    pc_redis_put_command(&buf, words, 2);
    say(&ear, &buf);
    (void)hear(&ear);
    fflush(stdout);
    while (getline(&line, &size, stdin) > 0) {
        serve(&c, &ear, &buf, line);
        fflush(stdout);
    }
    free(line);
    client_free(&c);
    client_free(&ear);
    pc_buf_free(&buf);
    pc_broker_names_free(&names);
    return 0;
}
