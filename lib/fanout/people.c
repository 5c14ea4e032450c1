#include "fanout/people.h"

#include <pusherc/error.h>

/* What comes and goes faster is not told: see channel_timer.h. */
#define GATHER_MS 100

/* Of one worker, for one person that is away. It keeps the app and the person. */
struct person_timer {
    struct pc_timer timer;
    struct pc_list of_worker;
    struct pc_worker *worker;
    struct pc_app *app; /* counted */
    struct pc_person *person;
};

static struct pc_people *people_of(const struct pc_app *app)
{
    return &app->state->people;
}

/* Locked. */
static void set_online(struct pc_people *people, struct pc_person *person, bool online,
                       uint64_t now_ms, struct pc_user_change *change)
{
    people->online_count += (uint32_t)online - (uint32_t)person->online;
    person->online = online;
    person->number = ++people->number;
    change->online = online;
    change->number = person->number;
    change->away_ms = online ? 0 : now_ms - person->seen_ms;
}

static uint32_t *count_of(struct pc_person *person, enum pc_people_by by)
{
    return by == PC_PEOPLE_CONNECTION ? &person->connections : &person->channels;
}

int pc_people_reserve(struct pc_app *app, pusherc_slice user_id, struct pc_person **out)
{
    struct pc_people *people = people_of(app);
    pthread_mutex_lock(&people->mutex);
    *out = pc_people_take(people, user_id);
    if (*out)
        (*out)->reserved++;
    pthread_mutex_unlock(&people->mutex);
    return *out ? 0 : PUSHERC_ENOMEM;
}

void pc_people_cancel(struct pc_app *app, struct pc_person *person)
{
    struct pc_people *people = people_of(app);
    if (!person)
        return;
    pthread_mutex_lock(&people->mutex);
    person->reserved--;
    pc_people_put_back(people, person, app->options.max_users_seen);
    pthread_mutex_unlock(&people->mutex);
}

void pc_people_came(struct pc_worker *worker, struct pc_app *app, struct pc_person *person,
                    enum pc_people_by by, struct pc_user_change *change)
{
    struct pc_people *people = people_of(app);
    pthread_mutex_lock(&people->mutex);
    person->reserved--;
    ++*count_of(person, by);
    if (!person->online) {
        person->told_ms = worker->now_ms;
        set_online(people, person, true, worker->now_ms, change);
    }
    pthread_mutex_unlock(&people->mutex);
}

/* -- away -- */

static void timer_free(struct person_timer *t)
{
    pc_list_remove(&t->of_worker);
    pc_timer_stop(&t->worker->timers, &t->timer);
    pc_app_unref(t->app);
    pc_free(t->worker->mem, t);
}

/* Locked. Ends the person's time if it is over; else returns until when it goes on. */
static uint64_t end_time(struct pc_worker *worker, struct pc_people *people,
                         struct pc_person *person, struct pc_user_change *change)
{
    bool leaving = person->online && pc_person_is_away(person);
    if (leaving && worker->now_ms < person->offline_at_ms && !pc_engine_is_draining(worker->engine))
        return person->offline_at_ms;
    if (leaving)
        set_online(people, person, false, worker->now_ms, change);
    return 0;
}

static void on_due(struct pc_timer *timer, uint64_t now_ms)
{
    struct person_timer *t = PC_CONTAINER(timer, struct person_timer, timer);
    struct pc_people *people = people_of(t->app);
    struct pc_user_change change = {0};
    char stack[256];
    struct pc_buf user_id; /* a copy for the hook: the person may be forgotten */
    (void)now_ms;
    pc_buf_init_in(&user_id, t->worker->mem, SIZE_MAX, stack, sizeof stack);
    pthread_mutex_lock(&people->mutex);
    uint64_t again_ms = end_time(t->worker, people, t->person, &change);
    if (change.number)
        pc_buf_put(&user_id, t->person->node.key);
    t->person->timed = again_ms != 0;
    pc_people_put_back(people, t->person, t->app->options.max_users_seen);
    pthread_mutex_unlock(&people->mutex);
    pc_people_tell(t->worker, t->app, pc_buf_slice(&user_id), &change);
    pc_buf_free(&user_id);
    if (again_ms)
        pc_timer_arm(&t->worker->timers, timer, again_ms);
    else
        timer_free(t);
}

/* Locked. False: out of memory. */
static bool start_timer(struct pc_worker *worker, struct pc_app *app, struct pc_person *person)
{
    struct person_timer *t = pc_alloc(worker->mem, sizeof *t);
    if (!t)
        return false;
    *t = (struct person_timer){.worker = worker, .app = app, .person = person};
    pc_app_ref(app);
    pc_list_push_back(&worker->people_timers, &t->of_worker);
    pc_timer_init(&t->timer, on_due);
    pc_timer_arm(&worker->timers, &t->timer, person->offline_at_ms);
    return true;
}

/* Locked. The last of the user's connections and channels has ended. */
static void go_away(struct pc_worker *worker, struct pc_app *app, struct pc_person *person,
                    bool at_once, struct pc_user_change *change)
{
    uint64_t gathered_ms = person->told_ms + GATHER_MS;
    person->seen_ms = worker->now_ms;
    person->offline_at_ms = worker->now_ms + (at_once ? 0 : app->options.offline_delay_ms);
    if (!at_once && person->offline_at_ms < gathered_ms)
        person->offline_at_ms = gathered_ms;
    bool waits = person->offline_at_ms > worker->now_ms && !pc_engine_is_draining(worker->engine);
    if (waits && !person->timed)
        person->timed = start_timer(worker, app, person);
    if (!waits || !person->timed)
        set_online(people_of(app), person, false, worker->now_ms, change);
}

void pc_people_left(struct pc_worker *worker, struct pc_app *app, struct pc_person *person,
                    enum pc_people_by by, bool at_once, struct pc_user_change *change)
{
    struct pc_people *people = people_of(app);
    if (!person)
        return;
    pthread_mutex_lock(&people->mutex);
    --*count_of(person, by);
    if (pc_person_is_away(person)) {
        go_away(worker, app, person, at_once, change);
        pc_people_put_back(people, person, app->options.max_users_seen);
    }
    pthread_mutex_unlock(&people->mutex);
}

void pc_people_tell(struct pc_worker *worker, const struct pc_app *app, pusherc_slice user_id,
                    const struct pc_user_change *change)
{
    const pusherc_hooks *hooks = worker->hooks;
    if (change->number == 0 || !hooks->on_user)
        return;
    pusherc_user_event event = {.struct_size = sizeof event,
                                .app_id = app->id,
                                .user_id = user_id,
                                .online = change->online,
                                .away_ms = change->away_ms,
                                .sequence = change->number};
    hooks->on_user(&event, hooks->user_data);
}

/* -- the end -- */

void pc_people_hurry(struct pc_worker *worker)
{
    PC_LIST_EACH_SAFE(l, next, &worker->people_timers) {
        struct person_timer *t = PC_CONTAINER(l, struct person_timer, of_worker);
        pc_timer_stop(&worker->timers, &t->timer);
        on_due(&t->timer, worker->now_ms);
    }
}

void pc_people_forget(struct pc_worker *worker)
{
    while (!pc_list_empty(&worker->people_timers)) {
        struct person_timer *t =
            PC_CONTAINER(worker->people_timers.next, struct person_timer, of_worker);
        struct pc_people *people = people_of(t->app);
        pthread_mutex_lock(&people->mutex);
        people->online_count -= t->person->online;
        t->person->timed = t->person->online = false;
        pc_people_put_back(people, t->person, t->app->options.max_users_seen);
        pthread_mutex_unlock(&people->mutex);
        timer_free(t);
    }
}
