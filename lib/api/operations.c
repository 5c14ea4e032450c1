/*
 * Pages for operators: those of a metrics listener, which serves no others, and the memory pages that load balancers of
 * soketi ask for. "Used" is the memory that this process has in RAM, "total" the memory that it may have.
 */
#include "api/call.h"
#include "api/inspector.h"

#include "base/process.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct page {
    pusherc_slice path;
    void (*handle)(struct pc_api_call *call);
};

/* -- metrics -- */

static int append(pusherc_slice chunk, void *user_data)
{
    struct pc_buf *body = user_data;
    pc_buf_put(body, chunk);
    return pc_buf_status(body);
}

static void metrics_page(struct pc_api_call *call)
{
    struct pc_engine *engine = call->request->engine;
    bool json = pc_query_value(call->request->message->query, PC_S("json")).len > 0; /* ?json=1 */
    struct pc_recent *recent = json ? &engine->figures.json : &engine->figures.metrics;
    struct pc_buf *body = &call->reply->body;
    pc_api_begin(call->reply, 200, json ? PC_API_JSON : METRICS_TYPE);
    if (pc_recent_get(recent, call->request->worker->now_ms, body))
        return;
    if (engine->metrics.write(engine->metrics.ctx, json, append, body))
        pc_api_out_of_memory(call->reply);
    else
        pc_recent_keep(recent, pc_buf_slice(body));
}

/* -- memory -- */

struct memory {
    uint64_t used, total, percent_of_100; /* hundredths of a percent */
};

static struct memory read_memory(const struct pc_api_request *request)
{
    struct pc_process process;
    pc_process_recent(&process, &request->engine->figures.process, request->worker->now_ms);
    struct memory m = {.used = process.resident_bytes, .total = process.memory_bytes};
    if (m.total < m.used)
        m.total = m.used; /* the limit was lowered while the process runs */
    m.percent_of_100 = m.total ? m.used * 10000 / m.total : 0;
    return m;
}

static void put_member(struct pc_buf *body, const char *before, uint64_t number)
{
    pc_buf_put(body, pc_slice_of(before));
    pc_buf_put_u64(body, number);
}

static void put_percent(struct pc_buf *body, const char *before, const struct memory *m)
{
    put_member(body, before, m->percent_of_100 / 100);
    put_member(body, m->percent_of_100 % 100 < 10 ? ".0" : ".", m->percent_of_100 % 100);
    pc_buf_put(body, PC_S("}}"));
}

static void usage_page(struct pc_api_call *call)
{
    struct pc_buf *body = &call->reply->body;
    struct memory m = read_memory(call->request);
    pc_api_begin(call->reply, 200, PC_API_JSON);
    put_member(body, "{\"memory\":{\"free\":", m.total - m.used);
    put_member(body, ",\"used\":", m.used);
    put_member(body, ",\"total\":", m.total);
    put_percent(body, ",\"percent\":", &m);
}

void pc_api_accept_traffic(struct pc_api_call *call)
{
    struct pc_buf *body = &call->reply->body;
    struct memory m = read_memory(call->request);
    bool full =
        m.percent_of_100 > (uint64_t)call->request->engine->options.accept_traffic_percent * 100;
    pc_api_begin(call->reply, full ? 500 : 200, PC_API_JSON);
    put_member(body, "{\"memory\":{\"usedSize\":", m.used);
    put_member(body, ",\"totalSize\":", m.total);
    put_percent(body, ",\"percentUsage\":", &m);
}

/* -- whose name is it? -- */

static pusherc_slice without_port(pusherc_slice host)
{
    if (host.len && host.ptr[0] == '[')
        return pc_slice_first(host, pc_slice_find(host, ']') + 1);
    return pc_slice_first(host, pc_slice_find(host, ':'));
}

static bool ends_with_nocase(pusherc_slice name, pusherc_slice end)
{
    return name.len > end.len && pc_slice_eq_nocase(pc_slice_skip(name, name.len - end.len), end);
}

static bool is_address(pusherc_slice host)
{
    bool digits = true;
    for (size_t i = 0; i < host.len; i++)
        digits = digits && ((host.ptr[i] >= '0' && host.ptr[i] <= '9') || host.ptr[i] == '.');
    return digits || host.ptr[0] == '[';
}

/* True for a name that cannot be registered: one word, as containers and machines of a network call each other, or a
 * name below one that is kept for private use. */
static bool is_private_name(pusherc_slice host)
{
    static const pusherc_slice ends[] = {
        PUSHERC_LIT(".localhost"), PUSHERC_LIT(".local"),     PUSHERC_LIT(".internal"),
        PUSHERC_LIT(".lan"),       PUSHERC_LIT(".home.arpa"), PUSHERC_LIT(".svc"),
    };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (ends_with_nocase(host, ends[i]))
            return true;
    return pc_slice_find(host, '.') == host.len;
}

/* A site can turn its own name to this listener's address; then its scripts read the page as their own. */
static bool answers_to(const struct pc_engine *engine, const struct pc_http_message *m)
{
    pusherc_slice host = without_port(pc_http_field(m, PC_S("Host")));
    pusherc_slice names = pc_slice_of(engine->options.metrics_names), name;
    if (host.len && host.ptr[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || is_address(host) || is_private_name(host)) /* browsers always send one */
        return true;
    while (pc_http_list_next(&names, &name))
        if (pc_slice_eq_nocase(name, host))
            return true;
    return false;
}

/* -- the listener -- */

static const struct page pages[] = {
    {PUSHERC_LIT("/metrics"), metrics_page}, {PUSHERC_LIT("/usage"), usage_page},
    {PUSHERC_LIT("/"), pc_api_root},         {PUSHERC_LIT("/ready"), pc_api_ready},
    {PUSHERC_LIT("/up"), pc_api_up},         {PUSHERC_LIT("/live"), pc_api_up},
};

static void serve_page(struct pc_api_call *call)
{
    const struct pc_http_message *m = call->request->message;
    struct pc_api_reply *reply = call->reply;
    const struct page *page = NULL;
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        if (pc_slice_eq(pages[i].path, m->path))
            page = &pages[i];
    bool read = pc_slice_eq(m->method, PC_S("GET")) || pc_slice_eq(m->method, PC_S("HEAD"));
    if (!page)
        pc_api_plain(reply, 404, "There is nothing here.");
    else if (!read)
        pc_api_plain(reply, 405, "Use GET here.");
    else
        page->handle(call);
    if (pc_buf_status(&reply->body))
        pc_api_out_of_memory(reply);
    /* No CORS fields: a web page must not read this through a browser that can reach this listener. */
    reply->field_count = 0;
    if (page && !read)
        pc_api_field(reply, PC_S("Allow"), PC_S("GET, HEAD"));
}

void pc_api_operations(const struct pc_api_request *request, struct pc_api_reply *reply)
{
    struct pc_api_call call = {.request = request, .reply = reply};
    if (!answers_to(request->engine, request->message)) {
        pc_api_plain(
            reply, 403,
            "These pages are for this machine's address or a private name; another name in "
            "Host has to be in metrics_names.");
        reply->field_count = 0;
    } else if (!pc_api_inspector(&call)) {
        serve_page(&call);
    }
}
