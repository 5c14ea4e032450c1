/* Writes text format 0.0.4 of Prometheus, and the JSON form of prom-client. */
#include "server/metrics_text.h"

#include "codec/json.h"

/* More than the longest line: an app id has 200 bytes at most, and each may need an escape. */
#define LINE 2048

static const char *const type_names[] = {"counter", "gauge", "histogram"};

void pc_metrics_hand_over(struct pc_metrics *out)
{
    if (out->status == 0 && out->chunk.len > 0)
        out->status = out->write(pc_buf_slice(&out->chunk), out->user_data);
    pc_buf_clear(&out->chunk);
}

/* Makes room in the chunk for one line. */
static void begin_line(struct pc_metrics *out)
{
    if (out->chunk.len > PC_METRICS_CHUNK - LINE)
        pc_metrics_hand_over(out);
}

void pc_metrics_put(struct pc_metrics *out, const char *text)
{
    pc_buf_put(&out->chunk, pc_slice_of(text));
}

static void put_name(struct pc_metrics *out, const char *suffix)
{
    pc_metrics_put(out, out->server->engine.options.metrics_prefix);
    pc_metrics_put(out, out->family);
    pc_metrics_put(out, suffix);
}

/* Writes number / 10^decimals, without trailing zeros. */
static void put_number(struct pc_buf *to, uint64_t number, unsigned decimals)
{
    char digits[PC_U64_DIGITS];
    uint64_t unit = 1;
    for (unsigned i = 0; i < decimals; i++)
        unit *= 10;
    pc_buf_put_u64(to, number / unit);
    uint64_t rest = number % unit;
    if (rest == 0)
        return;
    pc_buf_put_char(to, '.');
    size_t len = pc_format_u64(rest + unit, digits); /* a 1 before it keeps leading zeros */
    while (digits[len - 1] == '0')
        len--;
    pc_buf_put(to, pc_slice(digits + 1, len - 1));
}

void pc_metrics_begin_family(struct pc_metrics *out, const char *name, enum pc_metric_type type,
                             const char *help)
{
    out->family = name;
    out->is_first_sample = true;
    begin_line(out);
    if (out->json) {
        pc_metrics_put(out, out->is_first_family ? "[{\"help\":\"" : ",{\"help\":\"");
        pc_metrics_put(out, help);
        pc_metrics_put(out, "\",\"name\":\"");
        put_name(out, "");
        pc_metrics_put(out, "\",\"type\":\"");
        pc_metrics_put(out, type_names[type]);
        pc_metrics_put(out, "\",\"values\":[");
    } else {
        pc_metrics_put(out, "# HELP ");
        put_name(out, " ");
        pc_metrics_put(out, help);
        pc_metrics_put(out, "\n# TYPE ");
        put_name(out, " ");
        pc_metrics_put(out, type_names[type]);
        pc_metrics_put(out, "\n");
    }
    out->is_first_family = false;
}

void pc_metrics_end_family(struct pc_metrics *out)
{
    begin_line(out);
    if (out->json)
        pc_metrics_put(out, "],\"aggregator\":\"sum\"}");
}

static void put_label_value(struct pc_metrics *out, const struct pc_label *label)
{
    pusherc_slice value = label->value;
    if (out->json && label->is_number) {
        pc_buf_put(&out->chunk, value);
        return;
    }
    if (out->json) {
        pc_json_put_string(&out->chunk, value);
        return;
    }
    pc_buf_put_char(&out->chunk, '"');
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\\' || c == '"' || c == '\n')
            pc_buf_put_char(&out->chunk, '\\');
        pc_buf_put_char(&out->chunk, c == '\n' ? 'n' : c);
    }
    pc_buf_put_char(&out->chunk, '"');
}

static void put_labels(struct pc_metrics *out, const struct pc_label *labels, size_t count)
{
    const char *quote = out->json ? "\"" : "";
    for (size_t i = 0; i < count; i++) {
        pc_metrics_put(out, i ? "," : "");
        pc_metrics_put(out, quote);
        pc_metrics_put(out, labels[i].name);
        pc_metrics_put(out, quote);
        pc_metrics_put(out, out->json ? ":" : "=");
        put_label_value(out, &labels[i]);
    }
}

void pc_metrics_put_sample(struct pc_metrics *out, const char *suffix,
                           const struct pc_label *labels, size_t count, uint64_t number,
                           unsigned decimals)
{
    begin_line(out);
    if (!out->json) {
        put_name(out, suffix);
        pc_metrics_put(out, "{");
        put_labels(out, labels, count);
        pc_metrics_put(out, "} ");
        put_number(&out->chunk, number, decimals);
        pc_metrics_put(out, "\n");
        return;
    }
    pc_metrics_put(out, out->is_first_sample ? "{\"value\":" : ",{\"value\":");
    put_number(&out->chunk, number, decimals);
    pc_metrics_put(out, ",\"labels\":{");
    put_labels(out, labels, count);
    pc_metrics_put(out, "}");
    if (*suffix) {
        pc_metrics_put(out, ",\"metricName\":\"");
        put_name(out, suffix);
        pc_metrics_put(out, "\"");
    }
    pc_metrics_put(out, "}");
    out->is_first_sample = false;
}

void pc_metrics_add_histogram(struct pc_histogram_sum *sum, const struct pc_histogram *histogram)
{
    for (size_t i = 0; i <= PC_HISTOGRAM_BOUNDS; i++)
        sum->buckets[i] += pc_stat_get(&histogram->buckets[i]);
    sum->sum_us += pc_stat_get(&histogram->sum_us);
}

static void put_bucket(struct pc_metrics *out, pusherc_slice bound, bool is_number,
                       const struct pc_label *labels, size_t count, uint64_t total)
{
    struct pc_label with_bound[PC_METRICS_MAX_LABELS + 1] = {{"le", bound, is_number}};
    memcpy(with_bound + 1, labels, count * sizeof *labels);
    pc_metrics_put_sample(out, "_bucket", with_bound, count + 1, total, 0);
}

void pc_metrics_put_histogram(struct pc_metrics *out, const struct pc_label *labels, size_t count,
                              const struct pc_histogram_sum *h, unsigned decimals)
{
    uint64_t total = 0;
    for (size_t i = 0; i < PC_HISTOGRAM_BOUNDS; i++) {
        char storage[32];
        struct pc_buf bound;
        pc_buf_init_in(&bound, out->chunk.mem, sizeof storage, storage, sizeof storage);
        put_number(&bound, pc_histogram_bounds_us[i], decimals);
        total += h->buckets[i];
        put_bucket(out, pc_buf_slice(&bound), true, labels, count, total);
    }
    total += h->buckets[PC_HISTOGRAM_BOUNDS];
    put_bucket(out, PC_S("+Inf"), false, labels, count, total);
    pc_metrics_put_sample(out, "_sum", labels, count, h->sum_us, decimals);
    pc_metrics_put_sample(out, "_count", labels, count, total, 0);
}
