/*
 * An authority at the end of a pipe, for compare.py. One request a line (hex_line.h). The answer: a line "m" for each message (topic, key, text), and
 * a line "a" (the values), or "e" (the error's name). The request "dump" is answered with the whole state as JSON.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pusherc/pusherc.h>

#include "cluster/step.h"
#include "codec/json.h"
#include "hex_line.h"

static void on_message(pusherc_topic topic, pusherc_slice key, pusherc_slice message,
                       void *user_data)
{
    (void)user_data;
    printf("m %d", (int)topic);
    print_hex(key);
    print_hex(message);
    putchar('\n');
}

static void on_answer(const pusherc_slice *values, size_t count, void *user_data)
{
    (void)user_data;
    print_values(values, count);
}

/* -- the state as JSON -- */

static struct pc_mem mem;
static const char *separator;

static void text(pusherc_slice s)
{
    struct pc_buf buf;
    pc_buf_init(&buf, &mem, SIZE_MAX);
    pc_json_put_string(&buf, s);
    fwrite(buf.ptr, 1, buf.len, stdout);
    pc_buf_free(&buf);
}

static void open_list(char bracket)
{
    printf("%s%c", separator, bracket);
    separator = "";
}

static void close_list(char bracket)
{
    putchar(bracket);
    separator = ",";
}

static void item(pusherc_slice s)
{
    printf("%s", separator);
    text(s);
    separator = ",";
}

static void number(uint64_t n)
{
    printf("%s%llu", separator, (unsigned long long)n);
    separator = ",";
}

static void dump_meta(const struct pc_partition *p)
{
    open_list('[');
    item(pc_slice_of(p->epoch ? p->epoch : ""));
    item(pc_slice_of(p->run ? p->run : ""));
    number(p->counter);
    item(pc_slice_of(p->teller ? p->teller : ""));
    number(p->unsettled_until_ms);
    close_list(']');
}

static void dump_incarnation(const struct pc_incarnation *inc)
{
    open_list('[');
    item(inc->node.key);
    number(inc->alive);
    number(inc->unsynced);
    number(inc->dying);
    number(inc->lease_end_ms);
    number(inc->since_ms);
    open_list('[');
    PC_LIST_EACH(l, &inc->held_in_order) {
        const struct pc_entry *entry = PC_CONTAINER(l, struct pc_held, in_order)->entry;
        open_list('[');
        item(entry->channel->node.key);
        item(entry->node.key);
        close_list(']');
    }
    close_list(']');
    open_list('[');
    PC_LIST_EACH(l, &inc->counted_in_order) {
        const struct pc_counted *counted = PC_CONTAINER(l, struct pc_counted, in_order);
        open_list('[');
        item(counted->channel->node.key);
        number(counted->count);
        close_list(']');
    }
    close_list(']');
    close_list(']');
}

static void dump_channel(const struct pc_occupied *channel)
{
    open_list('[');
    item(channel->node.key);
    number(channel->total);
    number(channel->last);
    open_list('[');
    PC_LIST_EACH(l, &channel->members_in_order) {
        const struct pc_entry *entry = PC_CONTAINER(l, struct pc_entry, in_order);
        open_list('[');
        item(entry->node.key);
        number(entry->holders);
        number(entry->number);
        item(entry->info);
        close_list(']');
    }
    close_list(']');
    close_list(']');
}

static void dump(const struct pc_partition *p)
{
    separator = "";
    open_list('[');
    dump_meta(p);
    open_list('[');
    PC_LIST_EACH(l, &p->by_name) {
        dump_incarnation(PC_CONTAINER(l, struct pc_incarnation, by_name));
    }
    close_list(']');
    open_list('[');
    PC_LIST_EACH(l, &p->by_number) {
        dump_channel(PC_CONTAINER(l, struct pc_occupied, by_number));
    }
    close_list(']');
    open_list('[');
    PC_LIST_EACH(l, &p->edges) {
        const struct pc_edge *edge = PC_CONTAINER(l, struct pc_edge, in_order);
        open_list('[');
        item(pc_slice_of(edge->kind));
        item(edge->channel);
        item(edge->user);
        close_list(']');
    }
    close_list(']');
    close_list(']');
    putchar('\n');
}

/* -- requests -- */

static void serve(pusherc_authority *authority, char *line)
{
    struct hex_line request = read_hex_line(line);
    int err = pusherc_authority_execute(authority, request.us, request.step, request.args,
                                        request.count, on_message, on_answer, NULL);
    if (err)
        printf("e %s\n", pusherc_err_name(err));
}

int main(void)
{
    pusherc_authority *authority;
    char *line = NULL;
    size_t size = 0;
    mem = pc_mem_make(NULL);
    if (pusherc_authority_new(&authority, NULL))
        return 1;
    while (getline(&line, &size, stdin) > 0) {
        if (strcmp(line, "dump\n") == 0)
            dump((const struct pc_partition *)authority); /* its first member */
        else
            serve(authority, line);
        fflush(stdout);
    }
    free(line);
    pusherc_authority_free(authority);
    return 0;
}
