/*
 * How libcurl and libuv work together. libcurl reports which sockets it waits for (on_socket()) and when it wants the
 * next call (on_timer_wish()). libuv watches these sockets and this time. Each libuv callback calls
 * curl_multi_socket_action(), in which libcurl reads and writes, and then collect(), which takes the finished transfers
 * from libcurl and calls `done`. If on_socket() fails, libcurl makes no further progress, so the fetcher is `broken`:
 * collect() fails all requests, and the next request begins with a new multi handle.
 *
 * What a request does not need anew is kept for the next one. A socket that libcurl has opened is watched until libcurl
 * closes it, though libcurl says after each request that it no longer waits for it: a kept connection then costs no
 * system call to be watched again. And a request that has ended leaves its easy handle, with the options that are the same
 * for all, and its header lines.
 */
#include "net/fetch.h"

#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include <pusherc/error.h>
#include <pusherc/version.h>

#include "net/curl.h"

#define MAX_IDLE  64 /* connections kept for the next request */
#define MAX_SPARE 8  /* ended requests kept for the next one; each has some 20 KiB in libcurl */

struct pc_fetcher {
    struct pc_companion companion; /* of home.loop, if there is one */
    struct pc_fetcher_home home;
    const struct pc_mem *mem; /* home.mem */
    struct pc_curl curl;
    char *ca_file;             /* owned; NULL = the system's */
    const char *found_ca_file; /* of the system, if libcurl does not know it; static */
    void (*done)(void *user, void *ctx, const struct pc_fetch_result *result);
    void *user;
    CURLM *multi; /* NULL until the first request */
    struct pc_list fetches;
    struct pc_list spare; /* ended requests, by of_fetcher */
    uint32_t spare_count;
    struct pc_list watches; /* of the sockets that libcurl has opened by open_socket() */
    uint32_t under_way, max_under_way;
    uv_timer_t timer;      /* the next call that libcurl wants */
    bool has_timer;        /* `timer` is open */
    uint32_t open_handles; /* `timer` and one for each socket */
    bool stopped, closed;
    bool broken; /* on_socket() failed, mostly for lack of memory: `multi` is unusable */
};

struct pc_fetch {
    struct pc_list of_fetcher;
    struct pc_fetcher *fetcher;
    CURL *easy;
    struct curl_slist *fields;
    struct pc_buf lines;   /* of `fields`, each with a NUL behind it */
    struct pc_buf *answer; /* borrowed; may be NULL */
    void *ctx;
    size_t answer_bytes;
    const char *broken_off; /* why this file ended the transfer; NULL = it did not */
    char error[CURL_ERROR_SIZE];
};

struct socket_watch {
    struct pc_list
        of_fetcher; /* in no list: a socket that libcurl has not opened by open_socket() */
    uv_poll_t poll;
    struct pc_fetcher *fetcher;
    curl_socket_t fd;
    int wanted;  /* events that libcurl waits for */
    int watched; /* ... and libuv */
};

static void collect(struct pc_fetcher *f);

/* Every libuv callback begins with this call. */
static void enter(const struct pc_fetcher *f)
{
    if (f->home.loop)
        pc_loop_enter(f->home.loop);
}

/* -- the sockets and the timer that libcurl waits for -- */

static void on_poll_closed(uv_handle_t *handle)
{
    struct socket_watch *watch = handle->data;
    enter(watch->fetcher);
    watch->fetcher->open_handles--;
    pc_free(watch->fetcher->mem, watch);
}

static void watch_close(struct socket_watch *watch)
{
    pc_list_remove(&watch->of_fetcher);
    uv_close(pc_handle(&watch->poll), on_poll_closed);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct socket_watch *watch = poll->data;
    struct pc_fetcher *f = watch->fetcher;
    int running;
    /* On an error let libcurl read and write: that gives a more exact reason than libuv's. */
    int flags = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0;
    if (events & watch->wanted & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & watch->wanted & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    enter(f);
    if (!watch
             ->wanted) { /* the peer closes an idle connection: libcurl sees it before the next request */
        uv_poll_stop(&watch->poll);
        watch->watched = 0;
        return;
    }
    f->curl.multi_socket_action(f->multi, watch->fd, flags, &running);
    collect(f);
}

static struct socket_watch *watch_new(struct pc_fetcher *f, curl_socket_t fd)
{
    struct socket_watch *watch = pc_alloc_zero(f->mem, sizeof *watch);
    if (!watch)
        return NULL;
    pc_list_init(&watch->of_fetcher);
    watch->fetcher = f;
    watch->fd = fd;
    watch->poll.data = watch;
    if (uv_poll_init_socket(f->home.uv, &watch->poll, fd)) {
        pc_free(f->mem, watch);
        return NULL;
    }
    f->open_handles++;
    return watch;
}

static struct socket_watch *watch_of(const struct pc_fetcher *f, curl_socket_t fd)
{
    PC_LIST_EACH(l, &f->watches) {
        struct socket_watch *watch = PC_CONTAINER(l, struct socket_watch, of_fetcher);
        if (watch->fd == fd)
            return watch;
    }
    return NULL;
}

static void forget(struct pc_fetcher *f, curl_socket_t fd, struct socket_watch *watch)
{
    f->curl.multi_assign(f->multi, fd, NULL);
    if (!watch)
        return;
    watch->wanted = 0;
    if (pc_list_empty(&watch->of_fetcher)) {
        watch_close(watch);
    } else if (watch->watched != UV_READABLE) { /* which is quiet while nothing is asked */
        uv_poll_stop(&watch->poll);
        watch->watched = 0;
    }
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct pc_fetcher *f = ctx;
    struct socket_watch *watch = socket_ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        forget(f, fd, watch);
        return 0;
    }
    if (!watch)
        watch = watch_of(f, fd);
    if (!watch)
        watch = watch_new(f, fd);
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!watch || (watch->watched != events && uv_poll_start(&watch->poll, events, on_poll))) {
        f->broken = true;
        return -1;
    }
    watch->wanted = watch->watched = events;
    f->curl.multi_assign(f->multi, fd, watch);
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct pc_fetcher *f = timer->data;
    int running;
    enter(f);
    f->curl.multi_socket_action(f->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    collect(f);
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *ctx)
{
    struct pc_fetcher *f = ctx;
    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&f->timer);
    else
        uv_timer_start(&f->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

/* Sockets are close-on-exec, because the process belongs to the host, and its child processes must not inherit them.
 * Without memory for a watch on_socket() tries again. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct pc_fetcher *f = ctx;
    (void)purpose;
    const curl_socket_t fd =
        socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd < 0)
        return fd;
    struct socket_watch *watch = watch_of(f, fd); /* of a socket that was closed in another way */
    if (watch)
        watch_close(watch);
    watch = watch_new(f, fd);
    if (watch)
        pc_list_push_back(&f->watches, &watch->of_fetcher);
    return fd;
}

static int close_socket(void *ctx, curl_socket_t fd)
{
    struct socket_watch *watch = watch_of(ctx, fd);
    if (watch)
        watch_close(watch);
    return close(fd);
}

/* -- requests -- */

/* Sets libcurl up at the first request, so that a server without requests does not pay for it. curl_global_cleanup() is
 * not called, because the host may use libcurl in the same process. */
static bool open_multi(struct pc_fetcher *f)
{
    if (f->broken && f->under_way == 0) {
        f->curl.multi_cleanup(f->multi);
        f->multi = NULL;
        f->broken = false;
    }
    if (f->multi)
        return !f->broken;
    if (f->curl.global_init(CURL_GLOBAL_DEFAULT))
        return false;
    f->multi = f->curl.multi_init();
    if (!f->multi)
        return false;
    if (!f->ca_file)
        f->found_ca_file = pc_curl_ca_file(&f->curl, "");
    if (!f->has_timer) {
        uv_timer_init(f->home.uv, &f->timer); /* cannot fail */
        f->timer.data = f;
        f->has_timer = true;
        f->open_handles++;
    }
    f->curl.multi_setopt(f->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    f->curl.multi_setopt(f->multi, CURLMOPT_SOCKETDATA, f);
    f->curl.multi_setopt(f->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    f->curl.multi_setopt(f->multi, CURLMOPT_TIMERDATA, f);
    f->curl.multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)MAX_IDLE);
    return true;
}

/* Counts bytes of the answer. False: too long; libcurl then ends the transfer. */
static bool count_answer(struct pc_fetch *fetch, size_t bytes)
{
    fetch->answer_bytes += bytes;
    if (fetch->answer_bytes > PC_FETCH_MAX_ANSWER_BYTES)
        fetch->broken_off = "the answer is too long";
    return !fetch->broken_off;
}

static size_t on_head(char *data, size_t size, size_t count, void *ctx)
{
    (void)data;
    return count_answer(ctx, size * count) ? size * count : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    struct pc_fetch *fetch = ctx;
    if (!count_answer(fetch, size * count))
        return 0;
    if (!fetch->answer)
        return size * count;
    pc_buf_put(fetch->answer, pc_slice(data, size * count));
    if (pc_buf_status(fetch->answer))
        fetch->broken_off = pusherc_strerror(pc_buf_status(fetch->answer));
    return fetch->broken_off ? 0 : size * count;
}

static void put_field(struct pc_buf *lines, pusherc_slice name, pusherc_slice value)
{
    pc_buf_put(lines, name);
    /* In libcurl "Name:" means "leave that field out" and "Name;" means "send it empty". */
    pc_buf_put(lines, value.len ? PC_S(": ") : PC_S(";"));
    pc_buf_put(lines, value);
    pc_buf_put_char(lines, '\0');
}

static void put_lines(struct pc_buf *lines, const struct pc_fetch_request *r)
{
    pc_buf_put(lines, PC_S("Expect:\0")); /* do not wait for "100 Continue" */
    if (!pc_pair_find(r->fields, r->field_count, PC_S("User-Agent")))
        put_field(lines, PC_S("User-Agent"), PC_S("libpusherc/" PUSHERC_VERSION_STRING));
    for (size_t i = 0; i < r->field_count; i++)
        put_field(lines, r->fields[i].name, r->fields[i].value);
}

static bool append_lines(struct pc_fetch *fetch)
{
    const struct pc_curl *curl = &fetch->fetcher->curl;
    for (pusherc_slice rest = pc_buf_slice(&fetch->lines); rest.len;) {
        struct curl_slist *longer = curl->slist_append(fetch->fields, rest.ptr);
        if (!longer)
            return false;
        fetch->fields = longer;
        rest = pc_slice_skip(rest, strlen(rest.ptr) + 1);
    }
    return true;
}

/* Makes the header lines, unless they are those of the request before. */
static bool set_fields(struct pc_fetch *fetch, const struct pc_fetch_request *r)
{
    char stack[512];
    struct pc_buf lines;
    pc_buf_init_in(&lines, fetch->fetcher->mem, SIZE_MAX, stack, sizeof stack);
    put_lines(&lines, r);
    bool ok = pc_buf_status(&lines) == 0;
    if (ok && !pc_slice_eq(pc_buf_slice(&lines), pc_buf_slice(&fetch->lines))) {
        fetch->fetcher->curl.slist_free_all(fetch->fields);
        fetch->fields = NULL;
        pc_buf_clear(&fetch->lines);
        pc_buf_put(&fetch->lines, pc_buf_slice(&lines));
        ok = pc_buf_status(&fetch->lines) == 0 && append_lines(fetch);
    }
    pc_buf_free(&lines);
    return ok;
}

#define SET(option, value) (f->curl.easy_setopt(h, CURLOPT_##option, value) == CURLE_OK)

/* What is the same for all requests. The process belongs to the host: libcurl uses no signals, reads no proxy from the
 * environment, and does not wait for the resolver's thread at the end. */
static bool set_up(struct pc_fetch *fetch)
{
    struct pc_fetcher *f = fetch->fetcher;
    CURL *h = fetch->easy;
    bool ok = SET(PRIVATE, fetch) && SET(ERRORBUFFER, fetch->error) &&
              SET(PROTOCOLS_STR, "http,https") && SET(FOLLOWLOCATION, 0L) &&
              SET(WRITEFUNCTION, on_body) && SET(WRITEDATA, fetch) &&
              SET(HEADERFUNCTION, on_head) && SET(HEADERDATA, fetch) && SET(NOSIGNAL, 1L) &&
              SET(PROXY, "") && SET(QUICK_EXIT, 1L) && SET(OPENSOCKETFUNCTION, open_socket) &&
              SET(OPENSOCKETDATA, f) && SET(CLOSESOCKETFUNCTION, close_socket) &&
              SET(CLOSESOCKETDATA, f) && SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (f->ca_file)
        return ok && SET(CAINFO, f->ca_file) && SET(CAPATH, NULL);
    return ok && (!f->found_ca_file || SET(CAINFO, f->found_ca_file));
}

static bool set_request(struct pc_fetch *fetch, const struct pc_fetch_request *r)
{
    const struct pc_fetcher *f = fetch->fetcher;
    CURL *h = fetch->easy;
    bool ok =
        SET(URL, r->url) && SET(HTTPHEADER, fetch->fields) && SET(TIMEOUT_MS, (long)r->timeout_ms);
    if (ok && r->body.ptr)
        ok = SET(POST, 1L) && SET(POSTFIELDSIZE_LARGE, (curl_off_t)r->body.len) &&
             SET(POSTFIELDS, r->body.ptr);
    else if (ok)
        ok = SET(HTTPGET, 1L);
    /* libcurl repeats a request at once if a kept connection fails. That is right if the peer closed it while it was
     * idle, but not for a server that has just failed: a retry uses a new connection. */
    return ok && SET(CUSTOMREQUEST, r->method) &&
           SET(FRESH_CONNECT, r->on_new_connection ? 1L : 0L);
}
#undef SET

static void fetch_free(struct pc_fetch *fetch)
{
    const struct pc_curl *curl = &fetch->fetcher->curl;
    if (fetch->easy)
        curl->easy_cleanup(fetch->easy);
    curl->slist_free_all(fetch->fields);
    pc_buf_free(&fetch->lines);
    pc_free(fetch->fetcher->mem, fetch);
}

static struct pc_fetch *fetch_new(struct pc_fetcher *f)
{
    struct pc_fetch *fetch = pc_alloc_zero(f->mem, sizeof *fetch);
    if (!fetch)
        return NULL;
    pc_list_init(&fetch->of_fetcher);
    pc_buf_init(&fetch->lines, f->mem, SIZE_MAX);
    fetch->fetcher = f;
    fetch->easy = f->curl.easy_init();
    if (fetch->easy && set_up(fetch))
        return fetch;
    fetch_free(fetch);
    return NULL;
}

/* A spare one, or a new one. */
static struct pc_fetch *fetch_get(struct pc_fetcher *f)
{
    if (pc_list_empty(&f->spare))
        return fetch_new(f);
    struct pc_fetch *fetch = PC_CONTAINER(f->spare.next, struct pc_fetch, of_fetcher);
    pc_list_remove(&fetch->of_fetcher);
    f->spare_count--;
    return fetch;
}

/* It is not under way. */
static void fetch_put(struct pc_fetch *fetch)
{
    struct pc_fetcher *f = fetch->fetcher;
    if (f->closed || f->spare_count == MAX_SPARE) {
        fetch_free(fetch);
        return;
    }
    pc_list_push_back(&f->spare, &fetch->of_fetcher);
    f->spare_count++;
}

bool pc_fetcher_has_room(const struct pc_fetcher *f)
{
    return f->under_way < f->max_under_way;
}

struct pc_fetch *pc_fetch_begin(struct pc_fetcher *f, const struct pc_fetch_request *request)
{
    if (f->stopped || !pc_fetcher_has_room(f) || !open_multi(f))
        return NULL;
    struct pc_fetch *fetch = fetch_get(f);
    if (!fetch)
        return NULL;
    fetch->answer = request->answer;
    fetch->ctx = request->ctx;
    fetch->answer_bytes = 0;
    fetch->broken_off = NULL;
    fetch->error[0] = '\0';
    if (!set_fields(fetch, request) || !set_request(fetch, request) ||
        f->curl.multi_add_handle(f->multi, fetch->easy) != CURLM_OK) {
        fetch_free(fetch);
        return NULL;
    }
    pc_list_push_back(&f->fetches, &fetch->of_fetcher);
    f->under_way++;
    return fetch;
}

/* Removes the transfer from libcurl, so that another request has room. */
static void take_back(struct pc_fetch *fetch)
{
    struct pc_fetcher *f = fetch->fetcher;
    f->curl.multi_remove_handle(f->multi, fetch->easy);
    pc_list_remove(&fetch->of_fetcher);
    f->under_way--;
}

void pc_fetch_cancel(struct pc_fetch *fetch)
{
    take_back(fetch);
    fetch_put(fetch);
}

/* `error` NULL = the answer came whole. */
static void finish(struct pc_fetch *fetch, const char *error)
{
    struct pc_fetcher *f = fetch->fetcher;
    long status = 0;
    curl_off_t retry_after_s = 0;
    f->curl.easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    f->curl.easy_getinfo(fetch->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
    struct pc_fetch_result result = {.status = (int)status, .error = error};
    if (retry_after_s > 0)
        result.retry_after_s = retry_after_s < UINT32_MAX ? (uint32_t)retry_after_s : UINT32_MAX;
    take_back(fetch);
    f->done(f->user, fetch->ctx, &result);
    fetch_put(fetch);
}

static const char *error_of(const struct pc_fetch *fetch, CURLcode result)
{
    if (result == CURLE_OK)
        return NULL;
    if (fetch->broken_off)
        return fetch->broken_off;
    return *fetch->error ? fetch->error : fetch->fetcher->curl.easy_strerror(result);
}

/* Finishes the requests whose transfers have ended. */
static void collect(struct pc_fetcher *f)
{
    CURLMsg *message;
    int left;
    while (f->multi && (message = f->curl.multi_info_read(f->multi, &left))) {
        char *of = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        f->curl.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &of);
        struct pc_fetch *fetch = (void *)of;
        finish(fetch, error_of(fetch, message->data.result));
    }
    /* After a failure of on_socket() libcurl makes no further progress, and its time-outs do not fire either. */
    while (f->broken && !pc_list_empty(&f->fetches))
        finish(PC_CONTAINER(f->fetches.next, struct pc_fetch, of_fetcher), "out of memory");
}

/* -- life -- */

/* NULL, or why this libcurl cannot be used. */
static const char *why_unfit(const struct pc_curl *curl)
{
    const curl_version_info_data *version = curl->version_info(CURLVERSION_NOW);
    if (version->version_num < 0x075700)
        return "this libcurl is older than 7.87";
    if (!(version->features & CURL_VERSION_ASYNCHDNS))
        return "this libcurl blocks to resolve names";
    if (!(version->features & CURL_VERSION_THREADSAFE))
        return "this libcurl cannot be set up while other threads run";
    return NULL;
}

void pc_fetcher_stop(struct pc_fetcher *f)
{
    f->stopped = true;
    while (!pc_list_empty(&f->fetches))
        finish(PC_CONTAINER(f->fetches.next, struct pc_fetch, of_fetcher),
               "the server was stopped");
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct pc_fetcher *f = handle->data;
    enter(f);
    f->open_handles--;
}

static void close_all(struct pc_fetcher *f)
{
    if (f->closed)
        return;
    f->closed = true;
    pc_fetcher_stop(f);
    while (!pc_list_empty(&f->spare)) {
        struct pc_fetch *fetch = PC_CONTAINER(f->spare.next, struct pc_fetch, of_fetcher);
        pc_list_remove(&fetch->of_fetcher);
        fetch_free(fetch);
    }
    if (f->multi)
        f->curl.multi_cleanup(f->multi); /* closes the sockets, and their watches */
    f->multi = NULL;
    while (!pc_list_empty(&f->watches))
        watch_close(PC_CONTAINER(f->watches.next, struct socket_watch, of_fetcher));
    if (f->has_timer)
        uv_close(pc_handle(&f->timer), on_timer_closed);
}

bool pc_fetcher_ended(struct pc_fetcher *f)
{
    close_all(f);
    return f->open_handles == 0;
}

static bool ended(struct pc_companion *companion)
{
    return pc_fetcher_ended(PC_CONTAINER(companion, struct pc_fetcher, companion));
}

int pc_fetcher_new(struct pc_fetcher **out, const struct pc_fetcher_home *home,
                   const struct pc_fetcher_options *options)
{
    struct pc_curl curl;
    *out = NULL;
    if (options->curl)
        curl = *options->curl;
    else if (!pc_curl_load(&curl))
        return PUSHERC_ENOSYS;
    const char *unfit = why_unfit(&curl);
    if (unfit) {
        PC_LOG(home->log, WARN, ((struct pc_log_about){.subject = "fetch"}),
               "nothing can be sent to other servers over HTTP: %s", unfit);
        return PUSHERC_ENOSYS;
    }
    struct pc_fetcher *f = pc_alloc_zero(home->mem, sizeof *f);
    if (!f)
        return PUSHERC_ENOMEM;
    f->companion = (struct pc_companion){.ended = ended};
    pc_list_init(&f->companion.of_loop);
    f->curl = curl;
    f->home = *home;
    f->mem = home->mem;
    f->done = options->done;
    f->user = options->user;
    f->max_under_way = options->max_under_way;
    if (options->ca_file && !(f->ca_file = pc_dup(f->mem, pc_slice_of(options->ca_file)))) {
        pc_free(f->mem, f);
        return PUSHERC_ENOMEM;
    }
    pc_list_init(&f->fetches);
    pc_list_init(&f->spare);
    pc_list_init(&f->watches);
    if (home->loop)
        pc_loop_join(home->loop, &f->companion);
    *out = f;
    return 0;
}

void pc_fetcher_free(struct pc_fetcher *f)
{
    if (!f)
        return;
    close_all(f);
    while (f->open_handles > 0) /* starting the loop failed half-way: no other code runs it */
        uv_run(f->home.uv, UV_RUN_ONCE);
    pc_loop_leave(&f->companion);
    pc_free(f->mem, f->ca_file);
    pc_free(f->mem, f);
}
