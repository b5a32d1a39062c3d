/* See loop.h. */
#include "agent/loop.h"

#include "sync/client.h"

void loop_init(struct loop *l, int64_t now_ms, bool link_known, bool link, uint64_t seed)
{
    *l = (struct loop){.now_ms = now_ms,
                       .link_known = link_known,
                       .link = link || !link_known,
                       .look_due = true,
                       .look_at = now_ms,
                       .not_before = now_ms,
                       .refresh_at = now_ms,
                       .ran_at = -1,
                       .random_state = seed,
                       .woken_for = LOOP_FOREVER};
}

static void forget_back_off(struct loop *l)
{
    bool calm = l->ran_at < 0 || l->now_ms - l->ran_at >= LOOP_CALM_MS;
    l->failures = 0;
    l->backed_off_ms = 0;
    l->not_before = calm ? l->now_ms : l->ran_at + LOOP_CALM_MS;
}

void loop_time(struct loop *l, int64_t now_ms)
{
    bool slept = l->woken_for != LOOP_FOREVER && now_ms - l->woken_for > LOOP_SLEPT_MS;
    if (now_ms > l->now_ms)
        l->now_ms = now_ms;
    l->woken_for = LOOP_FOREVER;
    if (slept && l->failures > 0)
        forget_back_off(l);
}

void loop_link(struct loop *l, bool link)
{
    bool came = link && !l->link;
    l->link = link;
    if (came || (link && l->failures > 0))
        forget_back_off(l);
}

void loop_asked(struct loop *l)
{
    l->asked = true;
}

void loop_changed(struct loop *l)
{
    if (l->look_due)
        return;
    l->look_due = true;
    l->look_at = l->now_ms + LOOP_SETTLE_MS;
}

void loop_looked(struct loop *l, bool waiting)
{
    /* A link that never failed is good enough for what has just been finished. */
    l->look_due = false;
    l->waiting = waiting;
}

static bool is_final(enum err result)
{
    return result == ERR_DENIED || result == ERR_VERSION || result == ERR_USAGE;
}

void loop_ran(struct loop *l, enum err result, bool waiting)
{
    l->asked = false;
    l->waiting = waiting;
    l->ran_at = l->now_ms;
    l->refresh_at = l->now_ms + LOOP_REFRESH_MS;
    if (!result && !waiting) {
        l->failures = 0;
        l->backed_off_ms = 0;
        l->not_before = l->now_ms;
        return;
    }
    if (is_final(result)) {
        l->not_before = l->now_ms + LOOP_REFUSED_MS;
        return;
    }
    l->failures++;
    l->backed_off_ms = backoff_ms(l->failures, l->backed_off_ms, &l->random_state);
    l->not_before = l->now_ms + l->backed_off_ms;
    if (result) /* it never came to the downlink */
        l->refresh_at = l->not_before;
}

static struct loop_step wait_until(struct loop *l, int64_t until_ms)
{
    l->woken_for = until_ms;
    return (struct loop_step){LOOP_WAIT, until_ms};
}

struct loop_step loop_next(struct loop *l)
{
    int64_t wanted_at = l->waiting ? l->now_ms : l->refresh_at;
    int64_t run_at = wanted_at > l->not_before ? wanted_at : l->not_before;

    if (l->asked)
        return (struct loop_step){LOOP_RUN, 0};
    if (l->look_due && l->now_ms >= l->look_at)
        return (struct loop_step){LOOP_LOOK, 0};
    if (!l->link)
        run_at = LOOP_FOREVER;
    if (run_at <= l->now_ms)
        return (struct loop_step){LOOP_RUN, 0};
    return wait_until(l, l->look_due && l->look_at < run_at ? l->look_at : run_at);
}
