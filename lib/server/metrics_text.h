/* Writes metrics, samples in families, as text for Prometheus or as JSON. metrics.c has the list of families. */
#ifndef PC_SERVER_METRICS_TEXT_H
#define PC_SERVER_METRICS_TEXT_H

#include "server/metrics.h"

#define PC_METRICS_CHUNK 4096 /* bytes passed to `write` in one call, at most */

enum pc_metric_type {
    PC_COUNTER,
    PC_GAUGE,
    PC_HISTOGRAM
};

struct pc_label {
    const char *name;
    pusherc_slice value;
    bool is_number; /* JSON writes the value without quotes */
};

#define PC_METRICS_MAX_LABELS 3

struct pc_metrics {
    pusherc_server *server;
    pusherc_write_fn write;
    void *user_data;
    int status; /* of `write`; after a failure it is not called again */
    bool json;
    bool is_first_family, is_first_sample;
    char port[PC_U64_DIGITS + 1];
    const char *family;
    struct pc_buf chunk;
    char storage[PC_METRICS_CHUNK];
};

/* The sum of one or several histograms. */
struct pc_histogram_sum {
    uint64_t buckets[PC_HISTOGRAM_BOUNDS + 1];
    uint64_t sum_us;
};

void pc_metrics_put(struct pc_metrics *out, const char *text); /* without escapes */
void pc_metrics_hand_over(struct pc_metrics *out);             /* passes the chunk to `write` */

void pc_metrics_begin_family(struct pc_metrics *out, const char *name, enum pc_metric_type type,
                             const char *help);
void pc_metrics_end_family(struct pc_metrics *out);
/* The value is number / 10^decimals. `suffix`: of a part of a histogram, such as "_sum", or "". */
void pc_metrics_put_sample(struct pc_metrics *out, const char *suffix,
                           const struct pc_label *labels, size_t count, uint64_t number,
                           unsigned decimals);

void pc_metrics_add_histogram(struct pc_histogram_sum *sum, const struct pc_histogram *histogram);
/* `decimals`: 6 for seconds, 3 for milliseconds. The count written is the sum of the buckets, so both agree while
 * workers go on counting. */
void pc_metrics_put_histogram(struct pc_metrics *out, const struct pc_label *labels, size_t count,
                              const struct pc_histogram_sum *h, unsigned decimals);

#endif
