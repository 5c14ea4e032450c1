/*
 * The gateway monitor: gateways with data points that are polled, and pages that show what was read.
 *
 * What is shown live is in memory: fleet.c has it, poll.c changes it with each poll, simulate.c polls gateways that do not
 * exist. The database has what outlives the program (store.h, writer.h). All of it belongs to the loop's thread.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "common/program.h"
#include "common/writer.h"

#define MAX_SITES    50 /* sets of sites are bits of a number that JSON can hold */
#define MAX_GATEWAYS 20000
#define MAX_POINTS   5   /* of one gateway */
#define LINE_SAMPLES 600 /* ten minutes of a poll each second */
#define TIME_BYTES   32

enum quality {
    QUALITY_GOOD,
    QUALITY_BAD,
    QUALITY_UNCERTAIN
};

/* A sample of a line in memory. */
struct sample {
    uint32_t at_s10; /* tenths of a second since the program started */
    float value;
};

struct point {
    int64_t id;
    size_t gateway; /* its place in the fleet */
    double middle, swing, dead_band;
    double limit, hysteresis; /* limit 0: none */
    int64_t delay_ms;         /* above the limit for so long: an alert */
    char *json;               /* "data_point":{...}, as each event has it; owned */
    double value;
    enum quality quality;
    int64_t read_at_ms; /* 0: never */
    double sent_value;  /* what pages were told last */
    enum quality sent_quality;
    int64_t sent_at_ms;
    int64_t above_since_ms; /* 0: it is not */
    int64_t alert_id;       /* raised and not cleared; 0: none */
    struct {
        int64_t number;
        double low, high, sum;
        unsigned count;
    } minute;
    uint64_t samples; /* ever; the last LINE_SAMPLES of them are in `line` */
    struct sample *line;
};

struct gateway {
    int64_t id;
    unsigned site;
    char name[64];
    char ip_address[48];
    bool active;
    unsigned failed_in_a_row;
    int64_t success_count, failure_count;
    int64_t last_seen_ms; /* 0: never */
    size_t first_point, point_count;
    int64_t polled_ms;                        /* by this server; 0: not since it started */
    int64_t followed_ms;                      /* read of another server up to then */
    int64_t down_until_ms, overflow_until_ms; /* of the simulation */
};

struct monitor {
    struct program *program;
    struct gateway *gateways;
    size_t gateway_count;
    struct point *points; /* those of a gateway stand together */
    size_t point_count;
    int64_t started_ms;
    int64_t last_reading_id;
    struct writer *writer;
    struct simulation *simulation; /* NULL: polls are reported over HTTP only */
    struct follower *follower;     /* NULL: this server is alone */
    struct replays *replays;
    int posts_under_way;             /* to alert_url */
    struct connections *connections; /* health.c */
    /* How polling does. */
    uint64_t ticks; /* seconds */
    uint64_t polls, announced, unchanged;
    uint64_t round_ms;                 /* of the loop's clock, when the last round was */
    double publish_ms, publish_ms_max; /* processor time of handing a round's events over */
    /* Options. */
    const char *gateways_text, *seed, *alert_url, *redis, *full_picture_text;
    int64_t full_picture_ms;
    bool simulate, every_value, self_test, json;
};

static inline struct monitor *monitor_of(struct program *program)
{
    return program->own;
}

int64_t now_ms(void);
/* "2026-01-02T03:04:05.678Z" */
void write_time(char out[TIME_BYTES], int64_t at_ms);

#endif
