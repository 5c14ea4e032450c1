/*
 * pusherload - load generator and correctness judge for servers that speak
 *              the Pusher Channels protocol (version 7).
 *
 * One process, one thread, one epoll instance (edge triggered), one read()
 * per wake-up into one hot buffer; a received event costs the client a frame
 * header, a memcmp at the offset where the tag was last time, one 8-digit hex
 * decode and one histogram increment.  No JSON is parsed on the hot path.
 *
 * Every event's data carries a tag
 *       @@<8 hex: event id>:<16 hex: CLOCK_MONOTONIC ns when it was built>
 * The id leads to the event table (channel, publisher, sequence number on that
 * channel from that publisher, send time, deliveries still missing), so for
 * each (subscription, publisher) the client checks: exactly once, in order, on
 * the right channel.  Every 64th delivery is also compared byte for byte with
 * the padding that was sent.
 *
 * Scenarios (first argument):
 *   fanout       N subscribers on one channel, publish through the HTTP API
 *   manychannels C channels with K subscribers each, publish to random ones
 *   connect      N connections as fast as possible; time, CPU, bytes per conn
 *   http         publish to a channel with 0 or 1 subscribers; requests/s
 *   clientevents pairs exchanging client- events on private channels
 *   churn        subscribe/unsubscribe (or presence join/leave) cycles
 *
 * Run it without arguments for the options.  stdout: one line of JSON, then
 * one human line that starts with '#'.
 *
 * other_cpu_pct in the JSON is what the machine spent on neither the server nor
 * this process (100 = one CPU): the noise of the run.  A run whose
 * client_cpu_pct is near 100 was limited by this process: then compare
 * server_cpu_us_per_delivery, not deliveries_per_s.
 *
 * Exit status: 0 fine, 1 the run failed, 2 usage, 3 it ran but something was
 * lost, duplicated, out of order, corrupt, or answered with an error.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/md5.h>
#include <openssl/sha.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* -- options -- */

enum scen {
    S_FANOUT,
    S_MANY,
    S_CONNECT,
    S_HTTP,
    S_CLIENT,
    S_CHURN
};
static const char *scen_name[] = {"fanout", "manychannels", "connect",
                                  "http",   "clientevents", "churn"};
enum ctype {
    C_PUBLIC,
    C_PRIVATE,
    C_PRESENCE
};

static struct {
    enum scen scen;
    const char *host, *app_id, *key, *secret, *label, *json_file, *channel;
    int port, other_port;
    int pid, children;
    int n, nset;             /* connections */
    int c, k;                /* manychannels, churn */
    int size;                /* bytes of data */
    int pubs, pubset, depth; /* HTTP connections, requests in flight on each */
    int window, winset;      /* events in flight (published, not yet at everybody) */
    double rate, drate;      /* events/s, deliveries/s; 0 = flat out */
    uint64_t events;         /* stop after that many, 0 = by time */
    double duration, warmup, hold, stall;
    enum ctype ctype;
    int inflight; /* handshakes in flight */
    int subscribe;
    int per_src;
    int http_close;
    int graceful;
    int watchers;
    int subs; /* http: 0 or 1 subscriber */
    int gate;
    int verbose;
} o = {.host = "127.0.0.1",
       .app_id = "app-id",
       .key = "app-key",
       .secret = "app-secret",
       .label = "",
       .port = 6001,
       .n = 1000,
       .c = 1000,
       .k = 5,
       .size = 100,
       .pubs = 16,
       .depth = 1,
       .window = 16,
       .duration = 5,
       .warmup = 1,
       .stall = 10,
       .inflight = 128,
       .subscribe = 1,
       .per_src = 20000,
       .watchers = 10,
       .hold = 1,
       .subs = 1};

static void usage(void)
{
    fprintf(
        stderr,
        "usage: pusherload SCENARIO [options]\n"
        "SCENARIO: fanout | manychannels | connect | http | clientevents | churn\n"
        "server:   --host A[,B..] (127.0.0.1) --port P (6001) --app-id --key --secret (app-id "
        "app-key app-secret)\n"
        "          --other-port P   another node: of publishers, and of members who come and go\n"
        "          --server-pid PID   read its CPU time and RSS;  --children: and its "
        "descendants'\n"
        "load:     -n N connections (1000)   -s BYTES of data (100; at least 42)   -t SECONDS "
        "(5)   -e EVENTS (stop after)\n"
        "          --warmup SECONDS (1)      -w W events in flight (16; manychannels 64; "
        "clientevents: per pair 1)\n"
        "          -p P HTTP connections (16) --depth D requests pipelined on each (1)\n"
        "          --rate EVENTS/S | --drate DELIVERIES/S (default: flat out)\n"
        "          --private | --presence    --channel NAME    --http-close (no keep-alive)\n"
        "          -C channels -K subscribers of each (manychannels, churn)   --watchers W "
        "(churn --presence: 10)\n"
        "          --subs 0|1 (http)  --no-subscribe, --hold SECONDS (connect)\n"
        "          --inflight N handshakes at once (128)  --per-src N connections per source "
        "address (20000)\n"
        "          --stall SECONDS without progress (10)  --graceful (close frames instead of "
        "RST)\n"
        "output:   --label TEXT --json-file FILE (append) -v\n"
        "          --gate   print \"ready\" before the measurement and keep the connections after "
        "it,\n"
        "                   and each time go on at a line of input\n");
    exit(2);
}

/* -- utils -- */

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

__attribute__((format(printf, 1, 2), noreturn)) static void die(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    fputs("pusherload: ", stderr);
    vfprintf(stderr, f, a);
    fputc('\n', stderr);
    va_end(a);
    exit(1);
}

static void *xalloc(size_t n, size_t s)
{
    void *p = calloc(n ? n : 1, s);
    if (!p)
        die("out of memory");
    return p;
}

/* memory that costs only what is touched */
static void *xreserve(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (p == MAP_FAILED)
        die("mmap: %s", strerror(errno));
    return p;
}

static uint64_t rng_state = 0x9e3779b97f4a7c15u;
static uint64_t rng(void)
{
    uint64_t x = rng_state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return rng_state = x;
}

static const char hexd[] = "0123456789abcdef";
static uint8_t unhex[256];

static void hex_out(char *d, const uint8_t *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        d[2 * i] = hexd[s[i] >> 4];
        d[2 * i + 1] = hexd[s[i] & 15];
    }
}

static void put_hex(char *d, uint64_t v, int digits)
{
    for (int i = digits - 1; i >= 0; i--, v >>= 4)
        d[i] = hexd[v & 15];
}

static inline uint32_t get_hex8(const uint8_t *s, int *bad)
{
    uint32_t v = 0;
    unsigned any = 0;
    for (int i = 0; i < 8; i++) {
        uint8_t d = unhex[s[i]];
        any |= d;
        v = v << 4 | (d & 15);
    }
    *bad = any & 0x80;
    return v;
}

/* histogram: 32 steps per power of two, of nanoseconds */
#define HSUB  5
#define HSIZE (64 << HSUB)
struct hist {
    uint64_t n, max, sum;
    uint32_t b[HSIZE];
};

static inline void hist_add(struct hist *h, uint64_t v)
{
    h->n++;
    h->sum += v;
    if (v > h->max)
        h->max = v;
    unsigned i;
    if (v < (1u << HSUB))
        i = (unsigned)v;
    else {
        unsigned e = 63u - (unsigned)__builtin_clzll(v);
        i = ((e - HSUB + 1) << HSUB) + (unsigned)((v >> (e - HSUB)) & ((1u << HSUB) - 1));
    }
    h->b[i]++;
}

static double hist_us(const struct hist *h, double q)
{
    if (!h->n)
        return 0;
    uint64_t want = (uint64_t)(q * (double)h->n), seen = 0;
    if (want >= h->n)
        want = h->n - 1;
    for (unsigned i = 0; i < HSIZE; i++) {
        seen += h->b[i];
        if (seen > want) {
            if (i < (1u << HSUB))
                return i / 1e3;
            unsigned e = (i >> HSUB) + HSUB - 1;
            uint64_t lo = (uint64_t)1 << e, step = lo >> HSUB;
            double v = (double)(lo + (i & ((1u << HSUB) - 1)) * step + step / 2);
            return (v > (double)h->max ? (double)h->max : v) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}

/* HMAC-SHA256 with the key's two blocks hashed once */
static SHA256_CTX hm_in, hm_out;
static void hmac_init(const char *key)
{
    uint8_t k[64] = {0}, b[64];
    size_t n = strlen(key);
    if (n > 64)
        SHA256((const uint8_t *)key, n, k);
    else
        memcpy(k, key, n);
    SHA256_Init(&hm_in);
    SHA256_Init(&hm_out);
    for (int i = 0; i < 64; i++)
        b[i] = k[i] ^ 0x36;
    SHA256_Update(&hm_in, b, 64);
    for (int i = 0; i < 64; i++)
        b[i] = k[i] ^ 0x5c;
    SHA256_Update(&hm_out, b, 64);
}

static void hmac_hex(const char *m, size_t n, char out[64])
{
    uint8_t d[32];
    SHA256_CTX c = hm_in;
    SHA256_Update(&c, m, n);
    SHA256_Final(d, &c);
    c = hm_out;
    SHA256_Update(&c, d, 32);
    SHA256_Final(d, &c);
    hex_out(out, d, 32);
}

/* -- the server's CPU, RSS -- */

static int pids[256], npids;

static void find_children(int pid)
{
    DIR *d = opendir("/proc");
    struct dirent *e;
    if (!d)
        return;
    while ((e = readdir(d)) && npids < 256) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        char p[300], b[512];
        snprintf(p, sizeof p, "/proc/%s/stat", e->d_name);
        int f = open(p, O_RDONLY | O_CLOEXEC);
        if (f < 0)
            continue;
        ssize_t n = read(f, b, sizeof b - 1);
        close(f);
        if (n <= 0)
            continue;
        b[n] = 0;
        char *q = strrchr(b, ')');
        int pp;
        if (q && sscanf(q + 2, "%*c %d", &pp) == 1 && pp == pid) {
            int id = atoi(e->d_name), dup = 0;
            for (int i = 0; i < npids; i++)
                dup |= pids[i] == id;
            if (!dup) {
                pids[npids++] = id;
                find_children(id);
            }
        }
    }
    closedir(d);
}

struct usage {
    double cpu, user, sys; /* seconds; cpu has ns resolution, the split 10 ms */
    long rss_kb, hwm_kb;
    double cli;         /* our own */
    double busy, steal; /* of all CPUs of the machine */
    uint64_t t;
};

/* with --gate: wait until the program that runs us has counted what it counts */
static void gate(void)
{
    char line[16];
    fflush(stdout);
    if (o.gate && !fgets(line, sizeof line, stdin))
        die("--gate: no line of input");
}

static void sample(struct usage *u)
{
    memset(u, 0, sizeof *u);
    u->t = now_ns();
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    u->cli = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    int g = open("/proc/stat", O_RDONLY | O_CLOEXEC);
    if (g >= 0) {
        char b[512];
        ssize_t n = read(g, b, sizeof b - 1);
        close(g);
        b[n > 0 ? n : 0] = 0;
        unsigned long v[8];
        if (sscanf(b, "cpu %lu %lu %lu %lu %lu %lu %lu %lu", v, v + 1, v + 2, v + 3, v + 4, v + 5,
                   v + 6, v + 7) == 8) {
            double hz = (double)sysconf(_SC_CLK_TCK);
            u->busy = (double)(v[0] + v[1] + v[2] + v[5] + v[6]) / hz;
            u->steal = (double)v[7] / hz;
        }
    }
    if (!o.pid)
        return;
    npids = 0;
    pids[npids++] = o.pid;
    if (o.children)
        find_children(o.pid);
    for (int i = 0; i < npids; i++) {
        clockid_t c;
        /* the process CPU clock: all threads, ended ones too, in ns */
        if (clock_getcpuclockid(pids[i], &c) == 0 && clock_gettime(c, &t) == 0)
            u->cpu += (double)t.tv_sec + (double)t.tv_nsec / 1e9;
        char p[64], b[4096];
        snprintf(p, sizeof p, "/proc/%d/stat", pids[i]);
        int f = open(p, O_RDONLY | O_CLOEXEC);
        if (f >= 0) {
            ssize_t n = read(f, b, sizeof b - 1);
            close(f);
            b[n > 0 ? n : 0] = 0;
            char *q = strrchr(b, ')');
            unsigned long ut, st;
            if (q && sscanf(q + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &ut,
                            &st) == 2) {
                double hz = (double)sysconf(_SC_CLK_TCK);
                u->user += (double)ut / hz;
                u->sys += (double)st / hz;
            }
        }
        snprintf(p, sizeof p, "/proc/%d/status", pids[i]);
        f = open(p, O_RDONLY | O_CLOEXEC);
        if (f >= 0) {
            ssize_t n = read(f, b, sizeof b - 1);
            close(f);
            b[n > 0 ? n : 0] = 0;
            char *q = strstr(b, "VmRSS:");
            if (q)
                u->rss_kb += atol(q + 6);
            q = strstr(b, "VmHWM:");
            if (q)
                u->hwm_kb += atol(q + 6);
        }
    }
}

/* kernel memory of TCP sockets, both sides, in bytes */
static long sock_mem(void)
{
    char b[1024];
    int f = open("/proc/net/sockstat", O_RDONLY | O_CLOEXEC);
    if (f < 0)
        return 0;
    ssize_t n = read(f, b, sizeof b - 1);
    close(f);
    b[n > 0 ? n : 0] = 0;
    char *q = strstr(b, "TCP:");
    q = q ? strstr(q, "mem ") : NULL;
    return q ? atol(q + 4) * sysconf(_SC_PAGESIZE) : 0;
}

/* -- state -- */

enum {
    K_WS,
    K_HTTP
};
enum {
    ST_NEW,
    ST_CONNECTING,
    ST_UPGRADE,
    ST_OPEN,
    ST_READY,
    ST_CLOSED
};

struct conn {
    int fd;
    uint8_t kind, state;
    uint16_t acks; /* subscriptions to be acknowledged before READY */
    uint32_t idx;  /* among its kind */
    uint32_t sub0, nsub;
    uint32_t rlen, rcap;
    uint8_t *rb; /* a partial frame or response */
    uint64_t t0;
    char sid[32];
    char auth[64]; /* churn --presence */
    uint32_t cyc;
};

struct sub {
    uint32_t chan, conn;
};
struct ord {
    uint32_t exp, mask;
};
struct event {
    uint64_t t, tb; /* sent, built */
    uint32_t left;  /* subscribers + (HTTP response) */
    uint32_t chan, seq;
    uint16_t pub;
    uint16_t warm;
};

struct publisher {
    struct conn c;
    int up;            /* connected */
    uint32_t fifo[64]; /* event ids awaiting their response */
    unsigned head, tail;
    char *ob; /* what could not be written yet */
    size_t olen, ooff, ocap;
};

static int ep;
static struct conn *ws;
static struct sub *subs;
static struct ord *ord;
static uint32_t nws, nsubs, nchan;
static int opub = 1; /* order streams per subscription */
static uint32_t *chan_nsub;
static uint32_t *pcseq; /* [pub * nchan + chan] */
static struct publisher *pub;
static uint32_t *slots, slot_head, slot_n, slot_cap; /* idle HTTP request slots */
static struct event *ev;
static uint32_t nev, max_ev;
static uint64_t outstanding;
static uint32_t ready, failed, closed_early;
static uint32_t connecting, next_conn;
static char expect_accept[64], ws_key[32];
static struct sockaddr_in dst[16];
static int ndst;

static int sending, warm;
static double rate;
static uint64_t next_t, interval, max_lag;

/* counters of the measured phase (and, for errors, of the whole run) */
static struct hist h_lat, h_http, h_conn;
static uint64_t n_deliv, n_deliv_warm, n_lost, n_dup, n_ooo, n_bad, n_wrong, n_corrupt;
static uint64_t n_sent, n_done, n_resp, n_http_err, n_reconn, n_reads, n_frames, n_rxbytes;
static uint64_t n_err_frames, n_pings, n_joins, n_added, n_removed, n_cycles;
static uint64_t t_last_deliv, t_last_done, last_progress;
static int first_error_shown;

#define BIG (8u << 20)
static uint8_t *big;

static void chan_name(char *d, size_t n, uint32_t chan)
{
    const char *pre = o.ctype == C_PRIVATE ? "private-" : o.ctype == C_PRESENCE ? "presence-" : "";
    if (o.scen == S_FANOUT || o.scen == S_HTTP || o.scen == S_CONNECT)
        snprintf(d, n, "%s%s", pre, o.channel ? o.channel : "bench");
    else if (o.scen == S_CLIENT)
        snprintf(d, n, "private-pair-%06u", chan);
    else
        snprintf(d, n, "%sch-%06u", pre, chan);
}

/* -- connecting -- */

/* Publishers, and members who come and go, may be at another node than those who hear of it. */
static int is_at_other(uint32_t i, int http)
{
    return o.other_port &&
           (http || (o.scen == S_CHURN && o.ctype == C_PRESENCE && i >= (uint32_t)o.watchers));
}

static int tcp_open(uint32_t i, int http)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        die("socket: %s (connections: %u; ulimit -n)", strerror(errno), i);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in to = dst[i % (uint32_t)ndst], *d = &to;
    if (is_at_other(i, http))
        d->sin_port = htons((uint16_t)o.other_port);
    if ((ntohl(d->sin_addr.s_addr) >> 24) == 127) {
        struct sockaddr_in s = {.sin_family = AF_INET};
        uint32_t off = http ? 0x100 + i % 8 : 1 + i / (uint32_t)o.per_src;
        s.sin_addr.s_addr = htonl(0x7f000000u + off);
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        if (bind(fd, (struct sockaddr *)&s, sizeof s) < 0)
            die("bind: %s", strerror(errno));
    }
    if (connect(fd, (struct sockaddr *)d, sizeof *d) < 0 && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    return fd;
}

static void ep_add(int fd, void *p)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = p};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void tcp_close(int fd, int rst)
{
    if (rst) {
        struct linger l = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof l);
    }
    close(fd);
}

static void note(const char *what, const uint8_t *p, size_t n)
{
    if (first_error_shown >= 3 && !o.verbose)
        return;
    first_error_shown++;
    if (n > 300)
        n = 300;
    fprintf(stderr, "pusherload: %s: %.*s\n", what, (int)n, (const char *)p);
}

static void ws_send(struct conn *c, const char *p, size_t n, int opcode)
{
    static uint8_t *f;
    static size_t cap;
    if (cap < n + 16) {
        cap = n + 4096;
        f = realloc(f, cap);
        if (!f)
            die("out of memory");
    }
    size_t h = 2;
    f[0] = (uint8_t)(0x80 | opcode);
    if (n < 126)
        f[1] = (uint8_t)(0x80 | n);
    else if (n < 65536) {
        f[1] = 0x80 | 126;
        f[2] = (uint8_t)(n >> 8);
        f[3] = (uint8_t)n;
        h = 4;
    } else {
        f[1] = 0x80 | 127;
        for (int i = 0; i < 8; i++)
            f[2 + i] = (uint8_t)((uint64_t)n >> (56 - 8 * i));
        h = 10;
    }
    uint32_t m = (uint32_t)(rng() >> 16);
    memcpy(f + h, &m, 4);
    h += 4;
    const uint8_t *mk = (const uint8_t *)&m;
    for (size_t i = 0; i < n; i++)
        f[h + i] = (uint8_t)p[i] ^ mk[i & 3];
    ssize_t w = write(c->fd, f, h + n);
    if (w != (ssize_t)(h + n)) {
        if (w < 0 && (errno == EPIPE || errno == ECONNRESET))
            return; /* the read side will notice */
        die("client write blocked (%zd of %zu): the server does not read", w, h + n);
    }
}

static int sub_message(struct conn *c, uint32_t chan, char *m, size_t cap)
{
    char name[256], sig[64], b[512];
    chan_name(name, sizeof name, chan);
    if (o.scen != S_CLIENT && o.ctype == C_PUBLIC)
        return snprintf(m, cap, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}",
                        name);
    if (o.scen != S_CLIENT && o.ctype == C_PRESENCE) {
        char cd[128];
        snprintf(cd, sizeof cd, "{\"user_id\":\"u%u\",\"user_info\":{\"name\":\"User %u\"}}",
                 c->idx, c->idx);
        int n = snprintf(b, sizeof b, "%s:%s:%s", c->sid, name, cd);
        hmac_hex(b, (size_t)n, sig);
        return snprintf(
            m, cap,
            "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s:%.64s\","
            "\"channel_data\":"
            "\"{\\\"user_id\\\":\\\"u%u\\\",\\\"user_info\\\":{\\\"name\\\":\\\"User %u\\\"}}\"}}",
            name, o.key, sig, c->idx, c->idx);
    }
    int n = snprintf(b, sizeof b, "%s:%s", c->sid, name);
    hmac_hex(b, (size_t)n, sig);
    return snprintf(
        m, cap,
        "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\",\"auth\":\"%s:%.64s\"}}",
        name, o.key, sig);
}

static void subscribe_to(struct conn *c, uint32_t chan)
{
    char m[1024];
    int n = sub_message(c, chan, m, sizeof m);
    ws_send(c, m, (size_t)n, 1);
}

static void conn_start(struct conn *c)
{
    c->t0 = now_ns();
    c->fd = tcp_open(c->idx, 0);
    c->state = ST_CONNECTING;
    ep_add(c->fd, c);
    connecting++;
}

static void conn_ready(struct conn *c)
{
    c->state = ST_READY;
    ready++;
    connecting--;
    last_progress = now_ns();
    hist_add(&h_conn, last_progress - c->t0);
}

static void conn_fail(struct conn *c, const char *why)
{
    if (c->state == ST_CLOSED)
        return;
    if (c->state != ST_READY)
        connecting--;
    else
        ready--;
    failed++;
    if (failed <= 3 || o.verbose)
        fprintf(stderr, "pusherload: connection %u: %s\n", c->idx, why);
    c->state = ST_CLOSED;
    tcp_close(c->fd, 1);
    c->fd = -1;
}

/* -- publishing -- */

static char *pad;     /* filler between tag and end of data */
static size_t padlen; /* of the data */
#define TAGLEN (2 + 8 + 1 + 16)

/* data: {"t":"@@iiiiiiii:tttttttttttttttt","p":"xxxx"} - size counts these bytes */
#define DATA_FIXED (sizeof("{\"t\":\"\",\"p\":\"\"}") - 1 + TAGLEN)

static struct event *new_event(uint32_t chan, uint32_t p, uint32_t left)
{
    if (nev >= max_ev)
        die("too many events in one run");
    struct event *e = &ev[nev];
    e->tb = now_ns();
    e->left = left;
    e->chan = chan;
    e->pub = (uint16_t)p;
    e->seq = pcseq[(size_t)p * nchan + chan]++;
    e->warm = (uint16_t)warm;
    nev++;
    outstanding++;
    if (!warm)
        n_sent++;
    return e;
}

static void pub_connect(struct publisher *p)
{
    p->c.fd = tcp_open(p->c.idx, 1);
    p->c.state = ST_CONNECTING;
    p->c.rlen = 0;
    p->up = 0;
    ep_add(p->c.fd, &p->c);
}

static void pub_flush(struct publisher *p)
{
    while (p->ooff < p->olen) {
        ssize_t w = write(p->c.fd, p->ob + p->ooff, p->olen - p->ooff);
        if (w < 0) {
            if (errno == EAGAIN)
                return;
            if (errno == EPIPE || errno == ECONNRESET)
                return; /* seen by the reader */
            die("http write: %s", strerror(errno));
        }
        p->ooff += (size_t)w;
    }
    p->ooff = p->olen = 0;
}

static void publish(struct publisher *p, uint32_t chan)
{
    static char body[1 << 18], head[1024], q[512];
    char name[256], md5h[32], sig[64];
    struct event *e = new_event(chan, p->c.idx, chan_nsub[chan] + 1);
    uint32_t id = (uint32_t)(e - ev);
    chan_name(name, sizeof name, chan);
    char tag[TAGLEN + 1];
    memcpy(tag, "@@", 2);
    put_hex(tag + 2, id, 8);
    tag[10] = ':';
    put_hex(tag + 11, e->tb, 16);
    tag[TAGLEN] = 0;
    int bl = snprintf(body, sizeof body,
                      "{\"name\":\"bench-event\",\"channel\":\"%s\",\"data\":\"{\\\"t\\\":\\\"%"
                      "s\\\",\\\"p\\\":\\\"%.*s\\\"}\"}",
                      name, tag, (int)padlen, pad);
    uint8_t md[16];
    MD5((uint8_t *)body, (size_t)bl, md);
    hex_out(md5h, md, 16);
    int ql = snprintf(
        q, sizeof q,
        "POST\n/apps/%s/events\nauth_key=%s&auth_timestamp=%ld&auth_version=1.0&body_md5=%.32s",
        o.app_id, o.key, (long)time(NULL), md5h);
    hmac_hex(q, (size_t)ql, sig);
    const char *qs = strrchr(q, '\n') + 1;
    int hl = snprintf(head, sizeof head,
                      "POST /apps/%s/events?%s&auth_signature=%.64s HTTP/1.1\r\nHost: %s:%d\r\n%s"
                      "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n",
                      o.app_id, qs, sig, o.host, o.port,
                      o.http_close ? "Connection: close\r\n" : "", bl);
    size_t need = p->olen + (size_t)(hl + bl);
    if (p->ocap < need) {
        p->ob = realloc(p->ob, p->ocap = need * 2);
        if (!p->ob)
            die("out of memory");
    }
    memcpy(p->ob + p->olen, head, (size_t)hl);
    memcpy(p->ob + p->olen + hl, body, (size_t)bl);
    p->olen = need;
    p->fifo[p->tail++ & 63] = id;
    e->t = now_ns();
    if (!p->up) {
        if (p->c.state != ST_CONNECTING)
            pub_connect(p);
        return;
    }
    pub_flush(p);
}

static void slot_put(uint32_t p)
{
    slots[(slot_head + slot_n++) % slot_cap] = p;
}

static uint32_t slot_get(void)
{
    uint32_t p = slots[slot_head];
    slot_head = (slot_head + 1) % slot_cap;
    slot_n--;
    return p;
}

static void client_event(struct conn *c);

static inline void event_left(struct event *e, uint64_t now)
{
    if (--e->left == 0) {
        outstanding--;
        if (!e->warm) {
            n_done++;
            t_last_done = now;
        }
    }
}

static int may_send(void)
{
    return sending && outstanding < (uint64_t)o.window && slot_n &&
           (warm || !o.events || n_sent < o.events);
}

static void pump(void)
{
    if (!sending)
        return;
    if (rate > 0) {
        uint64_t now = now_ns();
        while (next_t <= now && may_send()) {
            if (!warm && now - next_t > max_lag)
                max_lag = now - next_t;
            publish(&pub[slot_get()], nchan == 1 ? 0 : (uint32_t)(rng() % nchan));
            next_t += interval;
        }
    } else
        while (may_send())
            publish(&pub[slot_get()], nchan == 1 ? 0 : (uint32_t)(rng() % nchan));
}

/* -- receiving -- */

static void delivery(struct conn *c, const uint8_t *p, size_t n, size_t off, uint64_t now)
{
    int bad;
    uint32_t id = get_hex8(p + off + 2, &bad);
    if (unlikely(bad || id >= nev)) {
        n_bad++;
        note("unknown event", p, n);
        return;
    }
    struct event *e = &ev[id];
    uint32_t s = c->sub0;
    if (c->nsub > 1) {
        for (uint32_t i = 0; i < c->nsub; i++)
            if (subs[c->sub0 + i].chan == e->chan) {
                s = c->sub0 + i;
                break;
            }
    }
    if (unlikely(subs[s].chan != e->chan)) {
        n_wrong++;
        note("event of a channel that this connection has not subscribed to", p, n);
        return;
    }
    struct ord *r = &ord[(size_t)s * (size_t)opub + e->pub];
    uint32_t q = e->seq;
    if (likely(q == r->exp)) {
        r->exp++;
        r->mask = r->mask << 1 | 1;
    } else if (q > r->exp) { /* a gap: lost unless it comes later */
        uint32_t gap = q - r->exp;
        n_lost += gap;
        r->mask = gap < 31 ? r->mask << (gap + 1) | 1 : 1;
        r->exp = q + 1;
    } else {
        uint32_t d = r->exp - 1 - q;
        if (d < 32 && !(r->mask >> d & 1)) {
            r->mask |= 1u << d;
            n_ooo++;
            n_lost--;
        } else {
            n_dup++;
            return;
        }
    }
    if (!e->warm) {
        n_deliv++;
        hist_add(&h_lat, now - e->t);
        t_last_deliv = now;
    } else
        n_deliv_warm++;
    if (unlikely((n_frames & 63) == 0)) { /* the whole of it, now and then */
        char t[17];
        put_hex(t, e->tb, 16);
        if (off + TAGLEN > n || p[off + 10] != ':' || memcmp(p + off + 11, t, 16) ||
            (padlen && !memmem(p + off, n - off, pad, padlen))) {
            n_corrupt++;
            note("data is not what was sent", p, n);
        }
    }
    event_left(e, now);
    if (o.scen == S_CLIENT && sending)
        client_event(c);
}

static void churn_next(struct conn *c);

static void text_message(struct conn *c, const uint8_t *p, size_t n, uint64_t now)
{
    static size_t hint;
    n_frames++;
    if (likely(hint + 2 + 8 <= n && p[hint] == '@' && p[hint + 1] == '@')) {
        delivery(c, p, n, hint, now);
        return;
    }
    const uint8_t *q = memmem(p, n, "@@", 2);
    if (q && (size_t)(q - p) + 10 <= n) {
        hint = (size_t)(q - p);
        delivery(c, p, n, hint, now);
        return;
    }
    if (memmem(p, n, "subscription_succeeded", 22)) {
        if (c->state == ST_OPEN) {
            if (c->acks && --c->acks == 0)
                conn_ready(c);
        } else if (c->state == ST_READY && o.scen == S_CHURN) {
            uint64_t lat = now - c->t0;
            if (!warm && sending)
                hist_add(&h_lat, lat);
            if (!warm)
                n_cycles++;
            last_progress = now;
            outstanding--;
            churn_next(c);
        }
        return;
    }
    if (memmem(p, n, "member_added", 12)) {
        if (!warm)
            n_added++;
        last_progress = now;
        return;
    }
    if (memmem(p, n, "member_removed", 14)) {
        if (!warm)
            n_removed++;
        last_progress = now;
        return;
    }
    if (memmem(p, n, "connection_established", 22)) {
        const uint8_t *s = memmem(p, n, "socket_id", 9), *e = p + n;
        if (!s || c->state != ST_OPEN || c->sid[0]) {
            conn_fail(c, "strange connection_established");
            return;
        }
        s += 9;
        while (s < e && !isdigit(*s))
            s++;
        size_t l = 0;
        while (s < e && (isdigit(*s) || *s == '.') && l < sizeof c->sid - 1)
            c->sid[l++] = (char)*s++;
        c->sid[l] = 0;
        c->acks = (uint16_t)c->nsub;
        if (!c->nsub)
            conn_ready(c);
        for (uint32_t i = 0; i < c->nsub; i++)
            subscribe_to(c, subs[c->sub0 + i].chan);
        return;
    }
    if (memmem(p, n, "pusher:ping", 11)) {
        n_pings++;
        ws_send(c, "{\"event\":\"pusher:pong\",\"data\":{}}", 33, 1);
        return;
    }
    if (memmem(p, n, "pusher:pong", 11) || memmem(p, n, "subscription_count", 18))
        return;
    n_err_frames++;
    note("unexpected message", p, n);
}

/* returns bytes consumed, or -1 when the connection is gone */
static ssize_t ws_frames(struct conn *c, const uint8_t *b, size_t n, uint64_t now)
{
    size_t i = 0;
    while (n - i >= 2) {
        const uint8_t *p = b + i;
        size_t h = 2, l = p[1] & 0x7f;
        if (l == 126) {
            if (n - i < 4)
                break;
            l = (size_t)p[2] << 8 | p[3];
            h = 4;
        } else if (l == 127) {
            if (n - i < 10)
                break;
            l = 0;
            for (int k = 0; k < 8; k++)
                l = l << 8 | p[2 + k];
            h = 10;
        }
        if (n - i - h < l) {
            if (l > BIG - 64) {
                conn_fail(c, "frame too large");
                return -1;
            }
            break;
        }
        if (likely(p[0] == 0x81 && !(p[1] & 0x80)))
            text_message(c, p + h, l, now);
        else if (p[0] == 0x89) {
            n_pings++;
            ws_send(c, (const char *)p + h, l, 10);
        } else if (p[0] == 0x8a) {
        } else if (p[0] == 0x88) {
            note("close frame", p + h + 2, l > 2 ? l - 2 : 0);
            closed_early++;
            conn_fail(c, "closed by the server");
            return -1;
        } else {
            conn_fail(c, "frame is masked, fragmented, reserved or binary");
            n_bad++;
            return -1;
        }
        if (unlikely(c->state == ST_CLOSED))
            return -1;
        i += h + l;
    }
    return (ssize_t)i;
}

static void ws_upgrade(struct conn *c)
{
    char r[1024];
    int n = snprintf(
        r, sizeof r,
        "GET /app/%s?protocol=7&client=js&version=8.4.0&flash=false HTTP/1.1\r\nHost: %s:%d\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: %s\r\n"
        "Sec-WebSocket-Version: 13\r\nOrigin: http://%s\r\n\r\n",
        o.key, o.host, o.port, ws_key, o.host);
    if (write(c->fd, r, (size_t)n) != n)
        conn_fail(c, "cannot write the upgrade");
    else
        c->state = ST_UPGRADE;
}

/* returns bytes of the response's head, 0 = incomplete, -1 failed */
static ssize_t ws_response(struct conn *c, uint8_t *b, size_t n)
{
    uint8_t *e = memmem(b, n, "\r\n\r\n", 4);
    if (!e)
        return 0;
    *e = 0;
    if (n < 12 || memcmp(b, "HTTP/1.1 101", 12) || !strstr((char *)b, expect_accept)) {
        note("upgrade refused", b, n);
        conn_fail(c, "upgrade refused");
        return -1;
    }
    c->state = ST_OPEN;
    return e + 4 - b;
}

static void save_rest(struct conn *c, const uint8_t *p, size_t n)
{
    if (c->rcap < n) {
        free(c->rb);
        c->rcap = (uint32_t)(n < 512 ? 512 : n + n / 2);
        c->rb = malloc(c->rcap);
        if (!c->rb)
            die("out of memory");
    }
    if (n)
        memcpy(c->rb, p, n);
    c->rlen = (uint32_t)n;
}

static void ws_event(struct conn *c, uint32_t evs)
{
    if (c->state == ST_CLOSED)
        return;
    if (c->state == ST_CONNECTING) {
        int err = 0;
        socklen_t l = sizeof err;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &l) < 0 || err) {
            conn_fail(c, strerror(err));
            return;
        }
        if (!(evs & EPOLLOUT))
            return;
        ws_upgrade(c);
        return;
    }
    if (!(evs & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return;
    for (;;) {
        size_t have = c->rlen;
        if (have)
            memcpy(big, c->rb, have);
        ssize_t r = read(c->fd, big + have, BIG - have);
        if (r <= 0) {
            if (r < 0 && errno == EAGAIN)
                return;
            closed_early++;
            conn_fail(c, r ? strerror(errno) : "end of file");
            return;
        }
        uint64_t now = now_ns();
        n_reads++;
        n_rxbytes += (uint64_t)r;
        size_t n = have + (size_t)r, i = 0;
        if (c->state == ST_UPGRADE) {
            ssize_t u = ws_response(c, big, n);
            if (u < 0)
                return;
            i = (size_t)u;
        }
        if (c->state != ST_UPGRADE) {
            ssize_t u = ws_frames(c, big + i, n - i, now);
            if (u < 0)
                return;
            i += (size_t)u;
        }
        if (i < n || c->rlen)
            save_rest(c, big + i, n - i);
        /* edge triggered: a short read drained it, unless the peer hung up too */
        if ((size_t)r < BIG - have && !(evs & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            return;
    }
}

/* one complete HTTP response: its length, 0 = incomplete; *close if the server will */
static size_t http_response(uint8_t *b, size_t n, int *status, int *cl, int eof)
{
    uint8_t *e = memmem(b, n, "\r\n\r\n", 4);
    if (!e || n < 12)
        return 0;
    size_t h = (size_t)(e + 4 - b);
    *status = (b[9] - '0') * 100 + (b[10] - '0') * 10 + (b[11] - '0');
    *cl = b[7] == '0'; /* HTTP/1.0 */
    long len = -1;
    int chunked = 0;
    for (uint8_t *p = b; p < e;) {
        uint8_t *l = memmem(p, (size_t)(e + 2 - p), "\r\n", 2);
        if (!strncasecmp((char *)p, "content-length:", 15))
            len = atol((char *)p + 15);
        else if (!strncasecmp((char *)p, "connection:", 11)) {
            char *v = (char *)p + 11;
            while (*v == ' ')
                v++;
            if (!strncasecmp(v, "close", 5))
                *cl = 1;
        } else if (!strncasecmp((char *)p, "transfer-encoding:", 18))
            chunked = 1;
        p = l + 2;
    }
    if (chunked) {
        uint8_t *z = memmem(e, n - (size_t)(e - b), "\r\n0\r\n\r\n", 7);
        return z ? (size_t)(z + 7 - b) : 0;
    }
    if (len < 0) {
        if (*cl)
            return eof ? n : 0;
        return h;
    }
    return n - h >= (size_t)len ? h + (size_t)len : 0;
}

static void pub_restart(struct publisher *p)
{
    tcp_close(p->c.fd, 0);
    p->c.fd = -1;
    p->c.state = ST_NEW;
    p->up = 0;
    n_reconn++;
    if (p->head != p->tail || p->olen)
        pub_connect(p);
}

static void http_event(struct publisher *p, uint32_t evs)
{
    if (p->c.state == ST_CONNECTING) {
        int err = 0;
        socklen_t l = sizeof err;
        if (getsockopt(p->c.fd, SOL_SOCKET, SO_ERROR, &err, &l) < 0 || err)
            die("http connect: %s", strerror(err));
        if (!(evs & EPOLLOUT))
            return;
        p->c.state = ST_READY;
        p->up = 1;
        pub_flush(p);
        return;
    }
    if (p->c.state != ST_READY)
        return;
    if (evs & EPOLLOUT && p->olen)
        pub_flush(p);
    if (!(evs & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
        return;
    for (;;) {
        size_t have = p->c.rlen;
        if (have)
            memcpy(big, p->c.rb, have);
        ssize_t r = read(p->c.fd, big + have, BIG - have);
        if (r < 0 && errno == EAGAIN)
            return;
        int eof = r <= 0;
        size_t n = have + (eof ? 0 : (size_t)r), i = 0;
        uint64_t now = now_ns();
        int must_close = 0;
        while (i < n) {
            int st = 0, cl = 0;
            size_t u = http_response(big + i, n - i, &st, &cl, eof);
            if (!u)
                break;
            if (p->head == p->tail) {
                n_http_err++;
                note("an HTTP response too many", big + i, u);
                break;
            }
            struct event *e = &ev[p->fifo[p->head++ & 63]];
            if (st != 200) {
                n_http_err++;
                note("HTTP error", big + i, u);
                /* nobody will receive it */
                if (e->left > 1) {
                    outstanding--;
                    e->left = 0;
                    goto answered;
                }
            }
            event_left(e, now);
        answered:
            last_progress = now;
            if (!e->warm) {
                n_resp++;
                hist_add(&h_http, now - e->t);
            }
            slot_put(p->c.idx);
            i += u;
            if (cl || o.http_close) {
                must_close = 1;
                break;
            }
        }
        save_rest(&p->c, big + i, n - i);
        if (must_close || eof) {
            if (p->head != p->tail && !p->olen) {
                /* requests were cut off: they count as errors and are not repeated */
                note("the server closed before it answered", (const uint8_t *)"", 0);
                while (p->head != p->tail) {
                    struct event *e = &ev[p->fifo[p->head++ & 63]];
                    n_http_err++;
                    if (e->left) {
                        e->left = 0;
                        outstanding--;
                    }
                    slot_put(p->c.idx);
                }
            }
            p->c.rlen = 0;
            pub_restart(p);
            return;
        }
        if ((size_t)r < BIG - have && !(evs & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
            return;
    }
}

/* -- clientevents and churn -- */

static void client_event(struct conn *c)
{
    static char m[1 << 17];
    if (!warm && o.events && n_sent >= o.events)
        return;
    uint32_t chan = subs[c->sub0].chan;
    struct event *e = new_event(chan, c->idx & 1, 1);
    char tag[TAGLEN + 1];
    memcpy(tag, "@@", 2);
    put_hex(tag + 2, (uint32_t)(e - ev), 8);
    tag[10] = ':';
    put_hex(tag + 11, e->tb, 16);
    tag[TAGLEN] = 0;
    int n = snprintf(m, sizeof m,
                     "{\"event\":\"client-bench\",\"channel\":\"private-pair-%06u\",\"data\":{"
                     "\"t\":\"%s\",\"p\":\"%.*s\"}}",
                     chan, tag, (int)padlen, pad);
    e->t = e->tb;
    ws_send(c, m, (size_t)n, 1);
    last_progress = e->tb;
}

/* one cycle: leave the channel and enter the next; its acknowledgement drives the next cycle */
static void churn_next(struct conn *c)
{
    if (!sending)
        return;
    char name[256], m[2048];
    uint32_t cur = subs[c->sub0].chan, nxt;
    chan_name(name, sizeof name, cur);
    int n = snprintf(m, sizeof m,
                     "{\"event\":\"pusher:unsubscribe\",\"data\":{\"channel\":\"%s\"}}", name);
    ws_send(c, m, (size_t)n, 1);
    nxt = o.c > 1 ? (cur + 1) % (uint32_t)o.c : cur;
    subs[c->sub0].chan = nxt;
    c->t0 = now_ns();
    subscribe_to(c, nxt);
    outstanding++;
    if (!warm)
        n_sent++;
}

/* -- the machine -- */

static void step(uint64_t until)
{
    static struct epoll_event es[256];
    uint64_t now = now_ns(), t = until > now ? until - now : 0;
    if (sending && rate > 0) {
        uint64_t w = next_t > now ? next_t - now : 0;
        if (w < t)
            t = w;
    }
    struct timespec ts = {(time_t)(t / 1000000000u), (long)(t % 1000000000u)};
    int n = epoll_pwait2(ep, es, 256, &ts, NULL);
    if (n < 0 && errno != EINTR)
        die("epoll: %s", strerror(errno));
    for (int i = 0; i < n; i++) {
        struct conn *c = es[i].data.ptr;
        if (likely(c->kind == K_WS))
            ws_event(c, es[i].events);
        else
            http_event((struct publisher *)c, es[i].events);
    }
    if (pub)
        pump();
}

static void connect_all(void)
{
    last_progress = now_ns();
    while (ready + failed < nws) {
        while (next_conn < nws && connecting < (uint32_t)o.inflight)
            conn_start(&ws[next_conn++]);
        step(now_ns() + 100000000u);
        if (now_ns() - last_progress > (uint64_t)(o.stall * 1e9)) {
            fprintf(stderr, "pusherload: stalled while connecting: %u ready, %u failed of %u\n",
                    ready, failed, nws);
            break;
        }
        if (failed > 100 && failed > nws / 10)
            die("too many failed connections");
    }
}

static void idle_for(double s)
{
    uint64_t end = now_ns() + (uint64_t)(s * 1e9);
    while (now_ns() < end)
        step(end);
}

static int stalled;

/* run for so long, then wait until nothing is outstanding */
static void run_phase(double seconds)
{
    uint64_t start = now_ns(), end = start + (uint64_t)(seconds * 1e9);
    last_progress = start;
    next_t = start;
    sending = 1;
    if (pub)
        pump();
    if (o.scen == S_CLIENT)
        for (uint32_t i = 0; i < nws; i += 2)
            for (int w = 0; w < o.window; w++)
                client_event(&ws[i + ((uint32_t)w & 1)]);
    if (o.scen == S_CHURN)
        for (uint32_t i = (o.ctype == C_PRESENCE ? (uint32_t)o.watchers : 0); i < nws; i++)
            churn_next(&ws[i]);
    uint64_t prev = n_deliv + n_deliv_warm + n_resp;
    for (;;) {
        uint64_t now = now_ns();
        if (sending && (now >= end || (!warm && o.events && n_sent >= o.events)))
            sending = 0;
        if (!sending && !outstanding)
            break;
        uint64_t cur = n_deliv + n_deliv_warm + n_resp;
        if (cur != prev) {
            prev = cur;
            last_progress = now;
        }
        if (now - last_progress > (uint64_t)(o.stall * 1e9) && (outstanding || rate == 0)) {
            stalled = 1;
            sending = 0;
            break;
        }
        step(sending && !(end < now) && end - now < 50000000u ? end : now + 50000000u);
    }
}

/* -- output -- */

static char js[8192];
static size_t jn;
__attribute__((format(printf, 1, 2))) static void J(const char *f, ...)
{
    va_list a;
    va_start(a, f);
    jn += (size_t)vsnprintf(js + jn, sizeof js - jn, f, a);
    va_end(a);
}

static double div0(double a, double b)
{
    return b != 0 ? a / b : 0;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        usage();
    int sc = -1;
    for (int i = 0; i < 6; i++)
        if (!strcmp(argv[1], scen_name[i]))
            sc = i;
    if (sc < 0)
        usage();
    o.scen = (enum scen)sc;
    static const struct option lo[] = {{"host", 1, 0, 1},        {"port", 1, 0, 2},
                                       {"app-id", 1, 0, 3},      {"key", 1, 0, 4},
                                       {"secret", 1, 0, 5},      {"server-pid", 1, 0, 6},
                                       {"children", 0, 0, 7},    {"rate", 1, 0, 8},
                                       {"drate", 1, 0, 9},       {"private", 0, 0, 10},
                                       {"presence", 0, 0, 11},   {"channel", 1, 0, 12},
                                       {"http-close", 0, 0, 13}, {"watchers", 1, 0, 14},
                                       {"subs", 1, 0, 15},       {"no-subscribe", 0, 0, 16},
                                       {"hold", 1, 0, 17},       {"inflight", 1, 0, 18},
                                       {"per-src", 1, 0, 19},    {"stall", 1, 0, 20},
                                       {"graceful", 0, 0, 21},   {"label", 1, 0, 22},
                                       {"json-file", 1, 0, 23},  {"warmup", 1, 0, 24},
                                       {"depth", 1, 0, 25},      {"other-port", 1, 0, 26},
                                       {"gate", 0, 0, 27},       {0, 0, 0, 0}};
    int ch;
    optind = 2;
    while ((ch = getopt_long(argc, argv, "n:s:t:e:w:p:C:K:v", lo, NULL)) != -1)
        switch (ch) {
        case 1:
            o.host = optarg;
            break;
        case 2:
            o.port = atoi(optarg);
            break;
        case 26:
            o.other_port = atoi(optarg);
            break;
        case 27:
            o.gate = 1;
            break;
        case 3:
            o.app_id = optarg;
            break;
        case 4:
            o.key = optarg;
            break;
        case 5:
            o.secret = optarg;
            break;
        case 6:
            o.pid = atoi(optarg);
            break;
        case 7:
            o.children = 1;
            break;
        case 8:
            o.rate = atof(optarg);
            break;
        case 9:
            o.drate = atof(optarg);
            break;
        case 10:
            o.ctype = C_PRIVATE;
            break;
        case 11:
            o.ctype = C_PRESENCE;
            break;
        case 12:
            o.channel = optarg;
            break;
        case 13:
            o.http_close = 1;
            break;
        case 14:
            o.watchers = atoi(optarg);
            break;
        case 15:
            o.subs = atoi(optarg);
            break;
        case 16:
            o.subscribe = 0;
            break;
        case 17:
            o.hold = atof(optarg);
            break;
        case 18:
            o.inflight = atoi(optarg);
            break;
        case 19:
            o.per_src = atoi(optarg);
            break;
        case 20:
            o.stall = atof(optarg);
            break;
        case 21:
            o.graceful = 1;
            break;
        case 22:
            o.label = optarg;
            break;
        case 23:
            o.json_file = optarg;
            break;
        case 24:
            o.warmup = atof(optarg);
            break;
        case 25:
            o.depth = atoi(optarg);
            break;
        case 'n':
            o.n = atoi(optarg);
            o.nset = 1;
            break;
        case 's':
            o.size = atoi(optarg);
            break;
        case 't':
            o.duration = atof(optarg);
            break;
        case 'e':
            o.events = strtoull(optarg, NULL, 0);
            o.duration = 1e6;
            break;
        case 'w':
            o.window = atoi(optarg);
            o.winset = 1;
            break;
        case 'p':
            o.pubs = atoi(optarg);
            o.pubset = 1;
            break;
        case 'C':
            o.c = atoi(optarg);
            break;
        case 'K':
            o.k = atoi(optarg);
            break;
        case 'v':
            o.verbose = 1;
            break;
        default:
            usage();
        }
    if (optind != argc || o.pubs < 1 || o.pubs > 1024 || o.depth < 1 || o.depth > 32 || o.n < 0 ||
        o.c < 1 || o.k < 0)
        usage();
    if (o.size > 100000)
        die("-s: at most 100000");
    if (o.size < (int)DATA_FIXED)
        o.size = (int)DATA_FIXED; /* tag and JSON around it */
    if (o.http_close)
        o.depth = 1;

    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    signal(SIGPIPE, SIG_IGN);
    memset(unhex, 0x80, sizeof unhex);
    for (int i = 0; i < 16; i++)
        unhex[(uint8_t)hexd[i]] = (uint8_t)i;
    hmac_init(o.secret);
    rng_state ^= now_ns();
    for (int i = 0; i < 8; i++)
        rng();
    padlen = (size_t)o.size > DATA_FIXED ? (size_t)o.size - DATA_FIXED : 0;
    pad = xalloc(padlen + 1, 1);
    for (size_t i = 0; i < padlen; i++)
        pad[i] = (char)('a' + rng() % 26);
    big = mmap(NULL, BIG + 64, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (big == MAP_FAILED)
        die("mmap: %s", strerror(errno));

    char *hosts = strdup(o.host);
    for (char *h = strtok(hosts, ","); h && ndst < 16; h = strtok(NULL, ",")) {
        dst[ndst].sin_family = AF_INET;
        dst[ndst].sin_port = htons((uint16_t)o.port);
        if (inet_pton(AF_INET, h, &dst[ndst].sin_addr) != 1)
            die("--host takes IPv4 addresses");
        ndst++;
    }

    /* one key for everybody: the accept value is then known */
    {
        static const char b64[] =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        uint8_t d[20];
        char s[128];
        strcpy(ws_key, "dGhlIHNhbXBsZSBub25jZQ==");
        int n = snprintf(s, sizeof s, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", ws_key);
        SHA1((uint8_t *)s, (size_t)n, d);
        size_t k = 0;
        for (int i = 0; i < 18; i += 3) {
            uint32_t v = (uint32_t)d[i] << 16 | (uint32_t)d[i + 1] << 8 | d[i + 2];
            for (int j = 0; j < 4; j++)
                expect_accept[k++] = b64[v >> (18 - 6 * j) & 63];
        }
        uint32_t v = (uint32_t)d[18] << 16 | (uint32_t)d[19] << 8;
        for (int j = 0; j < 3; j++)
            expect_accept[k++] = b64[v >> (18 - 6 * j) & 63];
        expect_accept[k++] = '=';
    }

    /* the shape of the run */
    int need_http = 0;
    switch (o.scen) {
    case S_FANOUT:
        nws = (uint32_t)o.n;
        nsubs = nws;
        nchan = 1;
        need_http = 1;
        break;
    case S_MANY:
        nchan = (uint32_t)o.c;
        nsubs = nchan * (uint32_t)o.k;
        nws = o.nset ? (uint32_t)o.n : nsubs;
        need_http = 1;
        if (!o.winset)
            o.window = 64;
        if (nws > nsubs || (nsubs && nsubs % nws))
            die("manychannels: -n must divide C*K");
        if (o.nset && nws % nchan && nchan % nws)
            die("manychannels: -n must divide or be a multiple of C");
        break;
    case S_CONNECT:
        nws = (uint32_t)o.n;
        nsubs = o.subscribe ? nws : 0;
        nchan = 1;
        break;
    case S_HTTP:
        nws = o.subs ? 1 : 0;
        nsubs = nws;
        nchan = 1;
        need_http = 1;
        if (!o.winset)
            o.window = o.pubs * o.depth;
        break;
    case S_CLIENT:
        nws = (uint32_t)o.n & ~1u;
        nsubs = nws;
        nchan = nws / 2;
        opub = 2;
        if (!o.winset)
            o.window = 1;
        break;
    case S_CHURN:
        nws = (uint32_t)o.n + (o.ctype == C_PRESENCE ? (uint32_t)o.watchers : 0);
        nsubs = nws;
        if (o.ctype == C_PRESENCE && o.watchers)
            o.c = 1;
        nchan = (uint32_t)o.c;
        break;
    }
    if (need_http)
        opub = o.pubs;
    ws = xalloc(nws, sizeof *ws);
    subs = xalloc(nsubs, sizeof *subs);
    ord = xreserve(((size_t)nsubs + 1) * (size_t)opub * sizeof *ord);
    chan_nsub = xalloc(nchan, sizeof *chan_nsub);
    pcseq = xalloc((size_t)nchan * (size_t)opub, sizeof *pcseq);
    max_ev = 400u << 20;
    ev = xreserve((size_t)max_ev * sizeof *ev);
    uint32_t per = nws && nsubs ? nsubs / nws : 0;
    for (uint32_t i = 0, s = 0; i < nws; i++) {
        ws[i].kind = K_WS;
        ws[i].fd = -1;
        ws[i].idx = i;
        ws[i].sub0 = s;
        ws[i].nsub = per;
        for (uint32_t j = 0; j < per; j++, s++) {
            subs[s].conn = i;
            subs[s].chan = o.scen == S_CLIENT ? i / 2 : (i * per + j) % nchan;
            chan_nsub[subs[s].chan]++;
        }
    }
    ep = epoll_create1(EPOLL_CLOEXEC);

    struct usage u0, u1, u2, u3;
    long sm0 = sock_mem();
    sample(&u0);
    if (o.pid && u0.cpu == 0 && u0.rss_kb == 0)
        die("--server-pid %d: no such process", o.pid);

    /* 1: connect */
    connect_all();
    sample(&u1);
    double t_conn = (double)(u1.t - u0.t) / 1e9;
    if (ready < nws) {
        fprintf(stderr, "pusherload: only %u of %u connections are ready\n", ready, nws);
        if (o.scen != S_CONNECT)
            exit(1);
    }

    if (o.scen == S_CONNECT) {
        idle_for(o.hold);
        sample(&u2);
        long sm1 = sock_mem();
        J("{\"scenario\":\"connect\",\"label\":\"%s\",\"n\":%u,\"ready\":%u,\"failed\":%u,"
          "\"subscribe\":%d,\"inflight\":%d,\"wall_s\":%.3f,"
          "\"conn_per_s\":%.0f,\"server_cpu_s\":%.4f,\"server_cpu_us_per_conn\":%.2f,\"server_cpu_"
          "pct\":%.1f,\"client_cpu_pct\":%.1f,"
          "\"lat_p50_us\":%.1f,\"lat_p99_us\":%.1f,\"lat_max_us\":%.1f,\"rss_before_kb\":%ld,\"rss_"
          "after_kb\":%ld,"
          "\"bytes_per_conn\":%.0f,\"hold_s\":%.1f,\"idle_cpu_pct\":%.2f,\"kernel_sock_bytes_per_"
          "conn_both_ends\":%.0f,\"unexpected\":%" PRIu64
          ",\"other_cpu_pct\":%.1f,\"steal_pct\":%.1f}",
          o.label, nws, ready, failed, o.subscribe, o.inflight, t_conn, div0(ready, t_conn),
          u1.cpu - u0.cpu, div0((u1.cpu - u0.cpu) * 1e6, ready),
          div0(u1.cpu - u0.cpu, t_conn) * 100, div0(u1.cli - u0.cli, t_conn) * 100,
          hist_us(&h_conn, .5), hist_us(&h_conn, .99), (double)h_conn.max / 1e3, u0.rss_kb,
          u2.rss_kb, div0((double)(u2.rss_kb - u0.rss_kb) * 1024, ready), o.hold,
          div0(u2.cpu - u1.cpu, (double)(u2.t - u1.t) / 1e9) * 100,
          div0((double)(sm1 - sm0), ready), n_err_frames,
          div0(u1.busy - u0.busy - (u1.cpu - u0.cpu) - (u1.cli - u0.cli), t_conn) * 100,
          div0(u1.steal - u0.steal, t_conn) * 100);
        printf("%s\n# connect %s n=%u: %.0f conn/s, server %.1f us/conn (%.0f%% of a CPU), client "
               "%.0f%%, %.0f bytes RSS/conn, idle CPU %.2f%%, failed %u\n",
               js, o.label, nws, div0(ready, t_conn), div0((u1.cpu - u0.cpu) * 1e6, ready),
               div0(u1.cpu - u0.cpu, t_conn) * 100, div0(u1.cli - u0.cli, t_conn) * 100,
               div0((double)(u2.rss_kb - u0.rss_kb) * 1024, ready),
               div0(u2.cpu - u1.cpu, (double)(u2.t - u1.t) / 1e9) * 100, failed);
        goto out;
    }

    /* 2: HTTP connections */
    if (need_http) {
        pub = xalloc((size_t)o.pubs, sizeof *pub);
        slot_cap = (uint32_t)(o.pubs * o.depth);
        slots = xalloc(slot_cap, sizeof *slots);
        for (int i = 0; i < o.pubs; i++) {
            pub[i].c.kind = K_HTTP;
            pub[i].c.idx = (uint32_t)i;
            pub_connect(&pub[i]);
        }
        for (int d = 0; d < o.depth; d++)
            for (int i = 0; i < o.pubs; i++)
                slot_put((uint32_t)i);
        uint64_t t = now_ns();
        for (int up = 0; !up;) {
            step(now_ns() + 10000000u);
            up = 1;
            for (int i = 0; i < o.pubs; i++)
                up &= pub[i].up;
            if (now_ns() - t > 5000000000u)
                die("cannot open the HTTP connections");
        }
        if (o.rate > 0)
            rate = o.rate;
        if (o.drate > 0)
            rate = o.drate * (double)nchan / (double)(nsubs ? nsubs : 1);
        if (rate > 0) {
            interval = (uint64_t)(1e9 / rate);
            if (!o.winset)
                o.window = 1024;
        }
    }
    idle_for(.1); /* presence joins and the like settle */

    /* 3: warm up, then measure */
    if (o.warmup > 0) {
        warm = 1;
        uint64_t e = o.events;
        o.events = 0;
        run_phase(o.warmup);
        o.events = e;
        warm = 0;
        if (stalled)
            fprintf(stderr, "pusherload: stalled in the warm-up\n");
    }
    if (o.gate)
        puts("ready");
    gate();
    n_reads = n_frames = n_rxbytes = 0;
    n_joins = n_added = n_removed = 0;
    uint64_t reconn0 = n_reconn;
    sample(&u1);
    if (!stalled)
        run_phase(o.duration);
    if (o.scen == S_CHURN) {
        /* what the watchers have not read yet; the clock stops at the last message */
        uint64_t t = now_ns();
        t_last_done = t;
        sample(&u2);
        if (o.ctype == C_PRESENCE)
            idle_for(.3);
    } else
        sample(&u2);
    uint64_t t_end = t_last_done > t_last_deliv ? t_last_done : t_last_deliv;
    double wall = (double)((stalled || !t_end ? u2.t : t_end) - u1.t) / 1e9;
    double cpu = u2.cpu - u1.cpu, cwall = (double)(u2.t - u1.t) / 1e9;
    uint64_t fr = n_frames, rd = n_reads;

    /* duplicates that are late */
    idle_for(.1);
    sample(&u3);

    /* what never came */
    uint64_t missing = 0;
    if (o.scen != S_CHURN)
        for (uint32_t s = 0; s < nsubs; s++)
            for (int p = 0; p < opub; p++) {
                uint32_t sent;
                if (o.scen == S_CLIENT) {
                    if ((uint32_t)p == (subs[s].conn & 1))
                        continue; /* not one's own */
                    sent = pcseq[(size_t)p * nchan + subs[s].chan];
                } else
                    sent = pcseq[(size_t)p * nchan + subs[s].chan];
                uint32_t got = ord[(size_t)s * (size_t)opub + (size_t)p].exp;
                if (sent > got)
                    missing += sent - got;
            }
    n_lost += missing;
    uint64_t wrong = n_lost + n_dup + n_ooo + n_bad + n_wrong + n_corrupt + n_http_err +
                     n_err_frames + closed_early;

    J("{\"scenario\":\"%s\",\"label\":\"%s\",\"conns\":%u,\"channels\":%u,\"subscriptions\":%u,"
      "\"type\":\"%s\",\"size\":%d,\"pubs\":%d,\"depth\":%d,"
      "\"window\":%d,\"rate\":%.2f,\"wall_s\":%.3f,\"sent\":%" PRIu64 ",\"done\":%" PRIu64
      ",\"deliveries\":%" PRIu64 ",\"deliveries_per_s\":%.0f,\"events_per_s\":%.1f,",
      scen_name[o.scen], o.label, nws, nchan, nsubs,
      o.scen == S_CLIENT      ? "private"
      : o.ctype == C_PRIVATE  ? "private"
      : o.ctype == C_PRESENCE ? "presence"
                              : "public",
      o.size, o.pubs, o.depth, o.window, rate, wall, n_sent, n_done, n_deliv,
      div0((double)n_deliv, wall), div0((double)n_sent, wall));
    if (need_http)
        J("\"http_responses\":%" PRIu64 ",\"http_req_per_s\":%.1f,\"http_errors\":%" PRIu64
          ",\"http_reconnects\":%" PRIu64 ",\"http_p50_us\":%.1f,\"http_p99_us\":%.1f,\"http_max_"
          "us\":%.1f,\"server_cpu_us_per_request\":%.3f,",
          n_resp, div0((double)n_resp, wall), n_http_err, n_reconn - reconn0, hist_us(&h_http, .5),
          hist_us(&h_http, .99), (double)h_http.max / 1e3, div0(cpu * 1e6, (double)n_resp));
    if (o.scen == S_CHURN)
        J("\"cycles\":%" PRIu64
          ",\"cycles_per_s\":%.1f,\"server_cpu_us_per_cycle\":%.3f,\"member_added\":%" PRIu64
          ",\"member_removed\":%" PRIu64 ",\"watchers\":%d,",
          n_cycles, div0((double)n_cycles, wall), div0(cpu * 1e6, (double)n_cycles), n_added,
          n_removed, o.ctype == C_PRESENCE ? o.watchers : 0);
    J("\"server_cpu_s\":%.4f,\"server_user_s\":%.2f,\"server_sys_s\":%.2f,\"server_cpu_pct\":%.1f,"
      "\"server_cpu_us_per_delivery\":%.4f,"
      "\"client_cpu_pct\":%.1f,\"client_cpu_us_per_delivery\":%.4f,\"lat_p50_us\":%.1f,\"lat_p90_"
      "us\":%.1f,\"lat_p99_us\":%.1f,\"lat_p999_us\":%.1f,"
      "\"lat_max_us\":%.1f,\"lat_mean_us\":%.1f,\"sched_lag_max_us\":%.1f,\"frames_per_read\":%.2f,"
      "\"rx_mb\":%.1f,",
      cpu, u2.user - u1.user, u2.sys - u1.sys, div0(cpu, cwall) * 100,
      div0(cpu * 1e6, (double)n_deliv), div0(u2.cli - u1.cli, cwall) * 100,
      div0((u2.cli - u1.cli) * 1e6, (double)n_deliv), hist_us(&h_lat, .5), hist_us(&h_lat, .9),
      hist_us(&h_lat, .99), hist_us(&h_lat, .999), (double)h_lat.max / 1e3,
      div0((double)h_lat.sum / 1e3, (double)h_lat.n), (double)max_lag / 1e3,
      div0((double)fr, (double)rd), (double)n_rxbytes / 1e6);
    J("\"lost\":%" PRIu64 ",\"duplicate\":%" PRIu64 ",\"out_of_order\":%" PRIu64
      ",\"wrong_channel\":%" PRIu64 ",\"unknown\":%" PRIu64 ",\"corrupt\":%" PRIu64
      ",\"unexpected\":%" PRIu64 ",\"closed_by_server\":%u,\"stalled\":%s,\"conn_per_s\":%.0f,"
      "\"rss_idle_kb\":%ld,\"rss_end_kb\":%ld,\"rss_peak_kb\":%ld,\"other_cpu_pct\":%.1f,\"steal_"
      "pct\":%.1f}",
      n_lost, n_dup, n_ooo, n_wrong, n_bad, n_corrupt, n_err_frames, closed_early,
      stalled ? "true" : "false", div0(nws, t_conn), u1.rss_kb, u3.rss_kb, u3.hwm_kb,
      div0(u2.busy - u1.busy - cpu - (u2.cli - u1.cli), cwall) * 100,
      div0(u2.steal - u1.steal, cwall) * 100);

    printf("%s\n# %s %s conns=%u s=%d: ", js, scen_name[o.scen], o.label, nws, o.size);
    if (o.scen == S_HTTP)
        printf("%.0f req/s, server %.2f us/request, http p50 %.0f p99 %.0f us",
               div0((double)n_resp, wall), div0(cpu * 1e6, (double)n_resp), hist_us(&h_http, .5),
               hist_us(&h_http, .99));
    else if (o.scen == S_CHURN)
        printf("%.0f cycles/s, server %.2f us/cycle, p50 %.0f p99 %.0f us, member_added %" PRIu64
               " removed %" PRIu64,
               div0((double)n_cycles, wall), div0(cpu * 1e6, (double)n_cycles), hist_us(&h_lat, .5),
               hist_us(&h_lat, .99), n_added, n_removed);
    else
        printf("%.0f deliveries/s (%.0f events/s), server %.3f us/delivery, p50 %.0f p90 %.0f p99 "
               "%.0f max %.0f us",
               div0((double)n_deliv, wall), div0((double)n_sent, wall),
               div0(cpu * 1e6, (double)n_deliv), hist_us(&h_lat, .5), hist_us(&h_lat, .9),
               hist_us(&h_lat, .99), (double)h_lat.max / 1e3);
    printf("; CPU server %.0f%% client %.0f%%; %s", div0(cpu, cwall) * 100,
           div0(u2.cli - u1.cli, cwall) * 100, wrong || stalled ? "PROBLEMS:" : "all correct");
    if (wrong || stalled)
        printf(" lost %" PRIu64 " dup %" PRIu64 " ooo %" PRIu64 " wrong %" PRIu64
               " unknown %" PRIu64 " corrupt %" PRIu64 " http-errors %" PRIu64
               " unexpected %" PRIu64 " closed %u%s",
               n_lost, n_dup, n_ooo, n_wrong, n_bad, n_corrupt, n_http_err, n_err_frames,
               closed_early, stalled ? " STALLED" : "");
    putchar('\n');
    gate();
    if (o.json_file) {
        FILE *f = fopen(o.json_file, "a");
        if (f) {
            fprintf(f, "%s\n", js);
            fclose(f);
        }
    }
    for (uint32_t i = 0; i < nws; i++)
        if (ws[i].fd >= 0) {
            if (o.graceful)
                ws_send(&ws[i], "\x03\xe8", 2, 8);
            tcp_close(ws[i].fd, !o.graceful);
        }
    return wrong || stalled ? 3 : 0;

out:
    fflush(stdout);
    if (o.json_file) {
        FILE *f = fopen(o.json_file, "a");
        if (f) {
            fprintf(f, "%s\n", js);
            fclose(f);
        }
    }
    for (uint32_t i = 0; i < nws; i++)
        if (ws[i].fd >= 0) {
            if (o.graceful)
                ws_send(&ws[i], "\x03\xe8", 2, 8);
            tcp_close(ws[i].fd, !o.graceful);
        }
    return failed || ready < nws || n_err_frames ? 3 : 0;
}
