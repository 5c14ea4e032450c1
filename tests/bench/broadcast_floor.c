/*
 * What a request costs without a broadcaster: the same request again and again, signed once, on kept connections.
 *   broadcast_floor curl|sockets PORT REQUESTS
 * "curl" is libcurl's multi interface with 8 easy handles that are used again; "sockets" is send() and recv() on 8
 * connections, watched by epoll, with no look at the answer but at its status. Prints as broadcastload does.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <curl/curl.h>

#include <pusherc/pusherc.h>

#include "cost.h"

#define PARALLEL 8
#define WARM     100
#define PATH     "/apps/app-id/batch_events"
#define BODY                                                                                       \
    "{\"batch\":[{\"name\":\"order.paid\",\"channel\":\"orders-1\",\"data\":\"{\\\"order\\\":{"    \
    "\\\"id\\\":42,\\\"state\\\":\\\"paid\\\"},\\\"by\\\":\\\"someone@example.org\\\","            \
    "\\\"at\\\":1700000000}\"}]}"

static const char *const fields[] = {"User-Agent: floor", "Content-Type: application/json",
                                     "Accept: application/json"};

struct run {
    const char *port, *query;
    long count, begun, done, refused;
    struct cost since;
};

static void fail(const char *what)
{
    fprintf(stderr, "broadcast_floor: %s\n", what);
    exit(1);
}

static bool begins_another(struct run *run)
{
    return run->begun < run->count + WARM && ++run->begun;
}

static void note(struct run *run, bool accepted)
{
    run->refused += !accepted;
    if (++run->done == WARM)
        run->since = cost_now();
}

/* -- libcurl -- */

static size_t drop(char *data, size_t size, size_t count, void *user_data)
{
    (void)data;
    (void)user_data;
    return size * count;
}

static CURL *make_handle(const char *url, struct curl_slist *head)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        fail("no memory");
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, BODY);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, head);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    return easy;
}

static void collect(struct run *run, CURLM *multi)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(multi, &left))) {
        CURL *easy = message->easy_handle;
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(multi, easy);
        note(run, status == 200);
        if (begins_another(run))
            curl_multi_add_handle(multi, easy);
    }
}

static void run_curl(struct run *run)
{
    CURL *handles[PARALLEL];
    char url[1024];
    int running;
    CURLM *multi = curl_multi_init();
    struct curl_slist *head = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        head = curl_slist_append(head, fields[i]);
    snprintf(url, sizeof url, "http://127.0.0.1:%s" PATH "?%s", run->port, run->query);
    for (int i = 0; i < PARALLEL; i++) {
        handles[i] = make_handle(url, head);
        if (begins_another(run))
            curl_multi_add_handle(multi, handles[i]);
    }
    while (run->done < run->begun) {
        curl_multi_perform(multi, &running);
        collect(run, multi);
        if (running)
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    for (int i = 0; i < PARALLEL; i++)
        curl_easy_cleanup(handles[i]);
    curl_multi_cleanup(multi);
    curl_slist_free_all(head);
}

/* -- sockets -- */

static int connect_to(const char *port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address))
        fail("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void begin(struct run *run, int fd, const char *text, size_t len)
{
    if (begins_another(run) && send(fd, text, len, 0) != (ssize_t)len)
        fail("cannot send");
}

/* An answer is one segment here. */
static void run_sockets(struct run *run)
{
    static char answer[65536];
    char text[4096];
    const int epoll = epoll_create1(0);
    const size_t len =
        (size_t)snprintf(text, sizeof text,
                         "POST " PATH "?%s HTTP/1.1\r\nHost: 127.0.0.1:%s\r\n%s\r\n%s\r\n%s\r\n"
                         "Content-Length: %zu\r\n\r\n" BODY,
                         run->query, run->port, fields[0], fields[1], fields[2], sizeof BODY - 1);
    for (int i = 0; i < PARALLEL; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = connect_to(run->port)};
        epoll_ctl(epoll, EPOLL_CTL_ADD, event.data.fd, &event);
        begin(run, event.data.fd, text, len);
    }
    while (run->done < run->begun) {
        struct epoll_event events[PARALLEL];
        const int count = epoll_wait(epoll, events, PARALLEL, -1);
        for (int i = 0; i < count; i++) {
            if (recv(events[i].data.fd, answer, sizeof answer, 0) < 12)
                fail("the server has gone");
            note(run, memcmp(answer, "HTTP/1.1 200", 12) == 0);
            begin(run, events[i].data.fd, text, len);
        }
    }
}

int main(int argc, char **argv)
{
    char query[512];
    pusherc_credentials who = PUSHERC_CREDENTIALS_INIT;
    struct run run = {.query = query};
    if (argc != 4)
        return 2;
    run.port = argv[2];
    run.count = strtol(argv[3], NULL, 10);
    who.key = pusherc_slice_of("app-key"), who.secret = pusherc_slice_of("app-secret");
    if (pusherc_sign_request(&who, "POST", PATH, NULL, 0, pusherc_slice_of(BODY),
                             (uint64_t)time(NULL), query, sizeof query, NULL))
        fail("cannot sign");
    if (strcmp(argv[1], "curl") == 0)
        run_curl(&run);
    else
        run_sockets(&run);
    cost_print(run.count, run.since);
    return run.refused ? 1 : 0;
}
