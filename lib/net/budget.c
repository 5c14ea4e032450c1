#include "net/budget.h"

#include "net/conn.h"

static void on_pace(struct pc_timer *timer, uint64_t now_ms)
{
    struct pc_budget *budget = PC_CONTAINER(timer, struct pc_budget, pace);
    (void)now_ms;
    pc_list_put_back(&budget->paced, &budget->waiting); /* behind those who wait already */
    pc_list_take(&budget->waiting, &budget->paced);
}

void pc_budget_init(struct pc_budget *budget)
{
    pc_list_init(&budget->waiting);
    pc_list_init(&budget->rest);
    pc_list_init(&budget->paced);
    pc_timer_init(&budget->pace, on_pace);
}

/* A share for each connection in the list, for `ns` together, and for the first in any case. */
static void serve(struct pc_list *list, uint64_t ns)
{
    struct pc_list now;
    if (pc_list_empty(list))
        return;
    uint64_t ends_ns = uv_hrtime() + ns;
    pc_list_take(&now, list);
    do {
        struct pc_conn *conn = PC_CONTAINER(now.next, struct pc_conn, waiting);
        pc_list_remove(&conn->waiting);
        pc_conn_resume(conn);
    } while (!pc_list_empty(&now) && uv_hrtime() < ends_ns);
    pc_list_put_back(list, &now); /* before those who have just had a share */
}

void pc_budget_serve(struct pc_loop *loop)
{
    struct pc_budget *budget = &loop->budget;
    budget->rest_ns = 0;
    if (!pc_budget_waits(budget))
        return;
    const uint64_t spent_ns = uv_hrtime() - loop->turn_ns;
    const uint64_t late_ns = spent_ns > PC_INPUT_NS ? spent_ns - PC_INPUT_NS : 0;
    serve(&budget->waiting, late_ns < PC_WAITERS_NS ? PC_WAITERS_NS - late_ns : 0);
    serve(&budget->rest, PC_REST_NS);
}
