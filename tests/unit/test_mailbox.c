/* The way into a worker: order, bound, wake-ups, closing, and many threads at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "fanout/mailbox.h"
#include "unit/failing_alloc.h"

#define MAX_MAIL 8

struct fixture;

struct letter {
    struct pc_mail mail;
    struct fixture *f;
    int number;
    struct letter *reply; /* posted when this one runs */
};

struct fixture {
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_mailbox *box;
    _Atomic unsigned wakes;
    int ran[64];
    size_t ran_count, disposed;
    struct letter letters[MAX_MAIL + 3];
};

static struct pc_worker *const worker_64 = (struct pc_worker *)(uintptr_t)64; /* not dereferenced */

static void wake(void *ctx)
{
    atomic_fetch_add(&((struct fixture *)ctx)->wakes, 1);
}

static void run(struct pc_mail *mail, struct pc_worker *worker)
{
    struct letter *letter = PC_CONTAINER(mail, struct letter, mail);
    struct fixture *f = letter->f;
    if (!worker) {
        f->disposed++;
        return;
    }
    assert_ptr_equal(worker, worker_64);
    f->ran[f->ran_count++] = letter->number;
    if (letter->reply)
        assert_int_equal(pc_mailbox_send(f->box, &letter->reply->mail, PC_MAIL_CONTROL), 0);
}

static int set_up(void **state)
{
    static struct fixture f;
    f = (struct fixture){.box = NULL};
    pusherc_allocator allocator = failing_alloc_init(&f.alloc, 0);
    f.mem = pc_mem_make(&allocator);
    *state = &f;
    return pc_mailbox_new(&f.box, &f.mem, MAX_MAIL, wake, &f);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    pc_mailbox_close(f->box);
    pc_mailbox_unref(f->box);
    return failing_alloc_live(&f->alloc) == 0 ? 0 : -1;
}

static void letters_init(struct fixture *f, struct letter *letters, int count)
{
    for (int i = 0; i < count; i++)
        letters[i] = (struct letter){.mail.run = run, .f = f, .number = i};
}

static void mail_runs_in_the_order_it_was_posted(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    letters_init(f, letters, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pc_mailbox_send(f->box, &letters[i].mail, PC_MAIL_EVENT), 0);
    assert_true(pc_mailbox_run(f->box, worker_64));
    assert_int_equal(f->ran_count, 5);
    for (int i = 0; i < 5; i++)
        assert_int_equal(f->ran[i], i);
    assert_false(pc_mailbox_run(f->box, worker_64));
}

static void only_the_first_letter_wakes(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    bool needs_wake;
    letters_init(f, letters, 4);
    assert_int_equal(pc_mailbox_post(f->box, &letters[0].mail, PC_MAIL_EVENT, &needs_wake), 0);
    assert_true(needs_wake);
    assert_int_equal(f->wakes, 0); /* posting alone does not: locks may be held */
    pc_mailbox_wake(f->box);
    assert_int_equal(f->wakes, 1);
    assert_int_equal(pc_mailbox_send(f->box, &letters[1].mail, PC_MAIL_EVENT), 0);
    assert_int_equal(f->wakes, 1);
    pc_mailbox_run(f->box, worker_64);
    assert_int_equal(pc_mailbox_send(f->box, &letters[2].mail, PC_MAIL_EVENT), 0);
    assert_int_equal(f->wakes, 2);
}

static void the_owner_who_will_look_is_not_woken(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    letters_init(f, letters, 3);
    pc_mailbox_own(f->box);
    f->box->owner_will_look = true;
    assert_int_equal(pc_mailbox_send(f->box, &letters[0].mail, PC_MAIL_EVENT), 0);
    assert_int_equal(f->wakes, 0);
    pc_mailbox_run(f->box, worker_64);
    /* about to sleep: now also its own mail must wake it */
    f->box->owner_will_look = false;
    assert_int_equal(pc_mailbox_send(f->box, &letters[1].mail, PC_MAIL_EVENT), 0);
    assert_int_equal(f->wakes, 1);
}

static void events_are_refused_when_it_is_full_and_control_never(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    letters_init(f, letters, MAX_MAIL + 3);
    for (int i = 0; i < MAX_MAIL; i++)
        assert_int_equal(pc_mailbox_send(f->box, &letters[i].mail, PC_MAIL_EVENT), 0);
    assert_int_equal(pc_mailbox_send(f->box, &letters[MAX_MAIL].mail, PC_MAIL_EVENT),
                     PUSHERC_EBACKLOG);
    assert_int_equal(pc_mailbox_send(f->box, &letters[MAX_MAIL + 1].mail, PC_MAIL_CONTROL), 0);
    assert_int_equal(pc_mailbox_send(f->box, &letters[MAX_MAIL].mail, PC_MAIL_EVENT),
                     PUSHERC_EBACKLOG);
    pc_mailbox_run(f->box, worker_64);
    assert_int_equal(f->ran_count, MAX_MAIL + 1);
    assert_int_equal(f->ran[MAX_MAIL], MAX_MAIL + 1);
    assert_int_equal(pc_mailbox_send(f->box, &letters[MAX_MAIL].mail, PC_MAIL_EVENT), 0);
}

static void a_refused_letter_stays_the_senders(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    bool needs_wake = true;
    letters_init(f, letters, MAX_MAIL + 1);
    for (int i = 0; i < MAX_MAIL; i++)
        assert_int_equal(pc_mailbox_send(f->box, &letters[i].mail, PC_MAIL_EVENT), 0);
    struct pc_mail before = letters[MAX_MAIL].mail;
    assert_int_equal(pc_mailbox_post(f->box, &letters[MAX_MAIL].mail, PC_MAIL_EVENT, &needs_wake),
                     PUSHERC_EBACKLOG);
    assert_false(needs_wake);
    assert_memory_equal(&before, &letters[MAX_MAIL].mail, sizeof before);
}

static void what_arrives_during_a_run_waits_for_the_next(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    letters_init(f, letters, 3);
    letters[0].reply = &letters[2];
    assert_int_equal(pc_mailbox_send(f->box, &letters[0].mail, PC_MAIL_EVENT), 0);
    assert_int_equal(pc_mailbox_send(f->box, &letters[1].mail, PC_MAIL_EVENT), 0);
    assert_true(pc_mailbox_run(f->box, worker_64));
    assert_int_equal(f->ran_count, 2);
    assert_true(pc_mailbox_run(f->box, worker_64));
    assert_int_equal(f->ran_count, 3);
    assert_int_equal(f->ran[2], 2);
}

static uint64_t now_ns;

static uint64_t clock_ns(void)
{
    return now_ns++; /* each look takes a nanosecond */
}

static void a_run_ends_with_its_time_and_the_rest_follows_in_order(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    uint32_t waiting, most;
    letters_init(f, letters, 6);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pc_mailbox_send(f->box, &letters[i].mail, PC_MAIL_EVENT), 0);
    now_ns = 10;
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 11));
    assert_int_equal(f->ran_count, 2);
    pc_mailbox_depth(f->box, &waiting, &most);
    assert_int_equal(waiting, 3);
    assert_int_equal(pc_mailbox_send(f->box, &letters[5].mail, PC_MAIL_EVENT), 0);
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 0)); /* its time is over */
    assert_int_equal(f->ran_count, 3);
    while (pc_mailbox_run_until(f->box, worker_64, clock_ns, UINT64_MAX))
        ;
    assert_int_equal(f->ran_count, 6);
    for (int i = 0; i < 6; i++)
        assert_int_equal(f->ran[i], i);
    pc_mailbox_depth(f->box, &waiting, &most);
    assert_int_equal(waiting, 0);
}

/* -- what is set aside -- */

struct aside_letter {
    struct letter letter;
    struct pc_aside *aside;
};

static void set_aside(struct pc_mail *mail, struct pc_worker *worker)
{
    struct letter *letter = PC_CONTAINER(mail, struct letter, mail);
    struct aside_letter *a = PC_CONTAINER(letter, struct aside_letter, letter);
    if (worker)
        pc_mailbox_set_aside(letter->f->box, a->aside, mail, run);
    else
        run(mail, worker);
}

static void send_aside(struct fixture *f, struct aside_letter *a, int number,
                       struct pc_aside *aside)
{
    *a = (struct aside_letter){{.mail.run = set_aside, .f = f, .number = number}, aside};
    assert_int_equal(pc_mailbox_send(f->box, &a->letter.mail, PC_MAIL_EVENT), 0);
}

static uint32_t depth(struct fixture *f)
{
    uint32_t now, most;
    pc_mailbox_depth(f->box, &now, &most);
    return now;
}

static void what_is_set_aside_runs_last_and_each_receiver_in_turn(void **state)
{
    static const int order[] = {6, 0, 3, 1, 4, 2};
    struct fixture *f = *state;
    struct pc_aside long_one, short_one;
    struct aside_letter a[5];
    pc_aside_init(&long_one), pc_aside_init(&short_one);
    for (int i = 0; i < 5; i++)
        send_aside(f, &a[i], i, i < 3 ? &long_one : &short_one);
    letters_init(f, f->letters, 7);
    assert_int_equal(pc_mailbox_send(f->box, &f->letters[6].mail, PC_MAIL_EVENT), 0);
    now_ns = 0;
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, UINT64_MAX));
    assert_int_equal(f->ran_count, 6);
    assert_memory_equal(f->ran, order, sizeof order);
    assert_false(f->box->behind);
    assert_int_equal(depth(f), 0);
    assert_false(pc_mailbox_run_until(f->box, worker_64, clock_ns, UINT64_MAX));
}

static void mail_that_is_set_aside_counts_and_one_runs_in_any_case(void **state)
{
    struct fixture *f = *state;
    struct pc_aside aside;
    struct aside_letter a[3];
    pc_aside_init(&aside);
    for (int i = 0; i < 3; i++)
        send_aside(f, &a[i], i, &aside);
    now_ns = 0;
    assert_true(
        pc_mailbox_run_until(f->box, worker_64, clock_ns, 10)); /* all three are set aside */
    assert_true(f->box->behind || f->ran_count == 3);
    while (f->ran_count < 3) {
        size_t ran = f->ran_count;
        assert_true(f->box->behind);
        assert_int_equal(depth(f), 3 - ran);
        assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 0)); /* its time is over */
        assert_int_equal(f->ran_count, ran + 1);
    }
    assert_false(f->box->behind);
}

/* Each may be long, so that two would make a long turn; and neither kind waits for all of the other. */
static void one_mail_of_either_kind_runs_when_the_time_is_over(void **state)
{
    static const int order[] = {0, 10, 1, 11};
    struct fixture *f = *state;
    struct pc_aside aside;
    struct aside_letter a[2];
    pc_aside_init(&aside);
    now_ns = 0;
    for (int i = 0; i < 2; i++)
        send_aside(f, &a[i], i, &aside);
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 1)); /* both are set aside */
    assert_int_equal(f->ran_count, 0);
    for (int i = 0; i < 2; i++) {
        f->letters[i] = (struct letter){.mail.run = run, .f = f, .number = 10 + i};
        assert_int_equal(pc_mailbox_send(f->box, &f->letters[i].mail, PC_MAIL_EVENT), 0);
    }
    for (size_t ran = 1; ran <= 4; ran++) {
        assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 0));
        assert_int_equal(f->ran_count, ran);
    }
    assert_memory_equal(f->ran, order, sizeof order);
}

/* Runs in three parts, if it has no time for more. */
struct long_letter {
    struct aside_letter aside;
    int parts;
};

static void run_part(struct pc_mail *mail, struct pc_worker *worker)
{
    struct long_letter *l = PC_CONTAINER(mail, struct long_letter, aside.letter.mail);
    struct pc_mailbox *box = l->aside.letter.f->box;
    do
        l->parts++;
    while (l->parts < 3 && pc_mailbox_has_time(box));
    if (l->parts < 3)
        pc_mailbox_put_back(box, l->aside.aside, mail, run_part);
    else
        run(mail, worker);
}

static void send_long(struct fixture *f, struct long_letter *l, int number, struct pc_aside *aside)
{
    *l = (struct long_letter){{{.mail.run = run_part, .f = f, .number = number}, aside}, 0};
    assert_int_equal(pc_mailbox_send(f->box, &l->aside.letter.mail, PC_MAIL_EVENT), 0);
}

static void a_mail_without_time_goes_on_before_those_of_its_receiver(void **state)
{
    struct fixture *f = *state;
    struct pc_aside aside;
    struct long_letter l;
    struct aside_letter next;
    pc_aside_init(&aside);
    send_long(f, &l, 0, &aside);
    now_ns = 0;
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 0));
    assert_int_equal(l.parts, 1);
    assert_int_equal(depth(f), 1);
    assert_true(f->box->behind);
    send_aside(f, &next, 1, &aside);
    now_ns = 0;
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 3));
    assert_int_equal(f->ran_count + (size_t)depth(f), 2);
    while (pc_mailbox_run_until(f->box, worker_64, clock_ns, 0))
        ;
    assert_int_equal(l.parts, 3);
    assert_int_equal(f->ran_count, 2);
    assert_int_equal(f->ran[0], 0);
    assert_int_equal(f->ran[1], 1);
}

static void a_mail_with_time_runs_in_one_piece(void **state)
{
    struct fixture *f = *state;
    struct pc_aside aside;
    struct long_letter l;
    pc_aside_init(&aside);
    assert_true(pc_mailbox_has_time(f->box)); /* outside of a run */
    send_long(f, &l, 0, &aside);
    now_ns = 0;
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, UINT64_MAX));
    assert_int_equal(f->ran_count, 1);
    send_long(f, &l, 1, &aside);
    assert_true(pc_mailbox_run(f->box, worker_64));
    assert_int_equal(f->ran_count, 2);
}

static void the_mail_of_a_receiver_that_ends_is_freed_first(void **state)
{
    struct fixture *f = *state;
    struct pc_aside ends, stays;
    struct aside_letter a[4];
    pc_aside_init(&ends), pc_aside_init(&stays);
    for (int i = 0; i < 4; i++)
        send_aside(f, &a[i], i, i % 2 ? &ends : &stays);
    now_ns = 0;
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 4)); /* one of four has run */
    size_t ran = f->ran_count;
    assert_int_equal(ran, 1);
    pc_mailbox_end_aside(f->box, &ends);
    assert_false(pc_aside_waits(&ends));
    assert_int_equal(depth(f), 4 - ran);
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 0));
    assert_int_equal(f->disposed, 2);
    while (pc_mailbox_run(f->box, worker_64))
        ;
    assert_int_equal(f->ran_count, 2);
    assert_int_equal(f->ran[0] + f->ran[1], 0 + 2);
    assert_int_equal(depth(f), 0);
    pc_mailbox_end_aside(f->box, &stays); /* nothing is left */
    assert_false(pc_mailbox_run(f->box, worker_64));
}

static void a_closed_mailbox_lets_go_of_what_is_set_aside(void **state)
{
    struct fixture *f = *state;
    struct pc_aside aside, ended;
    struct aside_letter a[4];
    pc_aside_init(&aside), pc_aside_init(&ended);
    for (int i = 0; i < 4; i++)
        send_aside(f, &a[i], i, i == 3 ? &ended : &aside);
    now_ns = 0;
    assert_true(pc_mailbox_run_until(f->box, worker_64, clock_ns, 4)); /* one of four has run */
    pc_mailbox_end_aside(f->box, &ended);
    size_t ran = f->ran_count;
    pc_mailbox_close(f->box);
    assert_int_equal(f->disposed, 4 - ran);
    assert_int_equal(depth(f), 0);
}

static void a_closed_mailbox_lets_go_of_everything_and_takes_nothing(void **state)
{
    struct fixture *f = *state;
    struct letter *letters = f->letters;
    letters_init(f, letters, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pc_mailbox_send(f->box, &letters[i].mail, PC_MAIL_EVENT), 0);
    assert_true(pc_mailbox_pin(f->box));
    pc_mailbox_unpin(f->box);
    pc_mailbox_close(f->box);
    assert_int_equal(f->ran_count, 0);
    assert_int_equal(f->disposed, 3);
    assert_int_equal(pc_mailbox_send(f->box, &letters[3].mail, PC_MAIL_EVENT), PUSHERC_ECANCELED);
    assert_int_equal(pc_mailbox_send(f->box, &letters[3].mail, PC_MAIL_CONTROL), PUSHERC_ECANCELED);
    assert_false(pc_mailbox_pin(f->box));
    assert_false(pc_mailbox_run(f->box, worker_64));
    assert_int_equal(f->disposed, 3);
}

static void a_closed_mailbox_can_still_be_queried(void **state)
{
    struct fixture *f = *state;
    struct pc_mailbox *box;
    struct letter letter;
    letters_init(f, &letter, 1);
    assert_int_equal(pc_mailbox_new(&box, &f->mem, 1, wake, f), 0);
    pc_mailbox_ref(box);
    pc_mailbox_close(box);
    pc_mailbox_unref(box);
    assert_int_equal(pc_mailbox_send(box, &letter.mail, PC_MAIL_CONTROL), PUSHERC_ECANCELED);
    pc_mailbox_unref(box);
    pc_mailbox_unref(NULL);
    f->alloc.fail_at = f->alloc.requests + 1;
    assert_int_equal(pc_mailbox_new(&box, &f->mem, 1, wake, f), PUSHERC_ENOMEM);
    assert_null(box);
}

/* -- threads -- */

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

struct pinning {
    struct pc_mailbox *box;
    _Atomic bool pinned, released;
};

static void *pin_for_a_while(void *arg)
{
    struct pinning *p = arg;
    if (!pc_mailbox_pin(p->box))
        abort();
    atomic_store(&p->pinned, true);
    pause_ms(50);
    atomic_store(&p->released, true);
    pc_mailbox_unpin(p->box);
    return NULL;
}

static void closing_waits_for_pins(void **state)
{
    struct fixture *f = *state;
    struct pinning p = {.box = f->box};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, pin_for_a_while, &p), 0);
    while (!atomic_load(&p.pinned))
        pause_ms(1);
    pc_mailbox_close(f->box);
    assert_true(atomic_load(&p.released));
    pthread_join(thread, NULL);
}

#define SENDERS   4
#define EACH      20000
#define BOX_LIMIT 256

/* A worker that sleeps until it is woken, and senders who post as fast as they can. */
struct traffic {
    struct pc_mailbox *box;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool awake;
    /* the worker's */
    uint32_t next[SENDERS];
    uint32_t disorder;
    _Atomic uint64_t ran, refused, canceled, disposed;
};

struct parcel {
    struct pc_mail mail;
    struct traffic *traffic;
    uint32_t sender, number;
};

struct sender {
    struct traffic *traffic;
    uint32_t index;
    bool until_closed;
};

static void ring(void *ctx)
{
    struct traffic *t = ctx;
    pthread_mutex_lock(&t->mutex);
    t->awake = true;
    pthread_cond_signal(&t->cond);
    pthread_mutex_unlock(&t->mutex);
}

static void open_parcel(struct pc_mail *mail, struct pc_worker *worker)
{
    struct parcel *p = PC_CONTAINER(mail, struct parcel, mail);
    struct traffic *t = p->traffic;
    if (worker) {
        t->disorder += p->number < t->next[p->sender];
        t->next[p->sender] = p->number + 1;
        atomic_fetch_add_explicit(&t->ran, 1, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(&t->disposed, 1, memory_order_relaxed);
    }
    free(p);
}

static void *send_parcels(void *arg)
{
    const struct sender *s = arg;
    struct traffic *t = s->traffic;
    for (uint32_t i = 0; s->until_closed || i < EACH; i++) {
        struct parcel *p = malloc(sizeof *p);
        if (!p)
            abort();
        *p =
            (struct parcel){.mail.run = open_parcel, .traffic = t, .sender = s->index, .number = i};
        int err = pc_mailbox_send(t->box, &p->mail, PC_MAIL_EVENT);
        if (err == 0)
            continue;
        free(p);
        if (err == PUSHERC_ECANCELED) {
            atomic_fetch_add_explicit(&t->canceled, 1, memory_order_relaxed);
            break;
        }
        atomic_fetch_add_explicit(&t->refused, 1, memory_order_relaxed);
        pause_ms(0);
    }
    return NULL;
}

/* Sleeps until rung, or false after so long. */
static bool wait_for_bell(struct traffic *t, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += seconds;
    int err = 0;
    pthread_mutex_lock(&t->mutex);
    while (!t->awake && err == 0)
        err = pthread_cond_timedwait(&t->cond, &t->mutex, &until);
    t->awake = false;
    pthread_mutex_unlock(&t->mutex);
    return err == 0;
}

static void traffic_open(struct traffic *t, struct fixture *f, uint32_t max)
{
    *t = (struct traffic){.awake = false};
    pthread_mutex_init(&t->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&t->cond, &attr);
    pthread_condattr_destroy(&attr);
    assert_int_equal(pc_mailbox_new(&t->box, &f->mem, max, ring, t), 0);
    pc_mailbox_own(t->box);
}

static void traffic_close(struct traffic *t)
{
    pc_mailbox_close(t->box);
    pc_mailbox_unref(t->box);
    pthread_mutex_destroy(&t->mutex);
    pthread_cond_destroy(&t->cond);
}

static void senders_start(struct traffic *t, struct sender *senders, pthread_t *threads,
                          bool until_closed)
{
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){t, i, until_closed};
        assert_int_equal(pthread_create(&threads[i], NULL, send_parcels, &senders[i]), 0);
    }
}

static void mail_of_many_threads_arrives_once_and_in_order(void **state)
{
    struct traffic t;
    struct sender senders[SENDERS];
    pthread_t threads[SENDERS];
    traffic_open(&t, *state, BOX_LIMIT);
    senders_start(&t, senders, threads, false);
    while (t.ran + t.refused < (uint64_t)SENDERS * EACH) {
        if (!pc_mailbox_run(t.box, worker_64) && t.ran + t.refused < (uint64_t)SENDERS * EACH)
            wait_for_bell(&t, 1); /* refused mail does not wake */
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_false(pc_mailbox_run(t.box, worker_64));
    assert_int_equal(t.ran + t.refused, (uint64_t)SENDERS * EACH);
    assert_int_equal(t.disorder, 0);
    traffic_close(&t);
}

/* One sender, one letter at a time: each must wake the sleeper. */
static void no_wake_up_is_lost(void **state)
{
    struct traffic t;
    struct sender sender = {&t, 0, false};
    pthread_t thread;
    traffic_open(&t, *state, UINT32_MAX);
    assert_int_equal(pthread_create(&thread, NULL, send_parcels, &sender), 0);
    while (t.ran < EACH) {
        /* never polled: whatever is posted after this run is empty must ring */
        assert_true(wait_for_bell(&t, 60));
        while (pc_mailbox_run(t.box, worker_64))
            ;
    }
    pthread_join(thread, NULL);
    assert_int_equal(t.next[0], EACH);
    traffic_close(&t);
}

static void closing_under_fire_loses_nothing(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 20; round++) {
        struct traffic t;
        struct sender senders[SENDERS];
        pthread_t threads[SENDERS];
        traffic_open(&t, f, BOX_LIMIT);
        senders_start(&t, senders, threads, true);
        for (int i = 0; i < 20; i++) {
            pc_mailbox_run(t.box, worker_64);
            pause_ms(0);
        }
        pc_mailbox_close(t.box);
        for (int i = 0; i < SENDERS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(t.canceled, SENDERS);
        assert_int_equal(t.disorder, 0);
        traffic_close(&t);
    }
}

#define mailbox_test(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        mailbox_test(mail_runs_in_the_order_it_was_posted),
        mailbox_test(only_the_first_letter_wakes),
        mailbox_test(the_owner_who_will_look_is_not_woken),
        mailbox_test(events_are_refused_when_it_is_full_and_control_never),
        mailbox_test(a_refused_letter_stays_the_senders),
        mailbox_test(what_arrives_during_a_run_waits_for_the_next),
        mailbox_test(a_run_ends_with_its_time_and_the_rest_follows_in_order),
        mailbox_test(what_is_set_aside_runs_last_and_each_receiver_in_turn),
        mailbox_test(mail_that_is_set_aside_counts_and_one_runs_in_any_case),
        mailbox_test(one_mail_of_either_kind_runs_when_the_time_is_over),
        mailbox_test(a_mail_without_time_goes_on_before_those_of_its_receiver),
        mailbox_test(a_mail_with_time_runs_in_one_piece),
        mailbox_test(the_mail_of_a_receiver_that_ends_is_freed_first),
        mailbox_test(a_closed_mailbox_lets_go_of_what_is_set_aside),
        mailbox_test(a_closed_mailbox_lets_go_of_everything_and_takes_nothing),
        mailbox_test(a_closed_mailbox_can_still_be_queried),
        mailbox_test(closing_waits_for_pins),
        mailbox_test(mail_of_many_threads_arrives_once_and_in_order),
        mailbox_test(no_wake_up_is_lost),
        mailbox_test(closing_under_fire_loses_nothing),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
