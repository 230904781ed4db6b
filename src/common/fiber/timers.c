#include "common/fiber/timers.h"

#include <assert.h>

#include "common/base/mem.h"

void timers_deinit(struct timers *t)
{
    assert(t->count == 0);
    mem_free(t->heap);
    *t = (struct timers){0};
}

static void heap_put(struct timers *t, unsigned place, struct timer *timer)
{
    t->heap[place] = timer;
    timer->place = place;
}

/* Both sifts move a hole instead of swapping, and put `timer` into it at the end. */
static void heap_sift_up(struct timers *t, unsigned place, struct timer *timer)
{
    while (place > 1 && t->heap[place / 2]->at_us > timer->at_us) {
        heap_put(t, place, t->heap[place / 2]);
        place /= 2;
    }
    heap_put(t, place, timer);
}

static void heap_sift_down(struct timers *t, unsigned place, struct timer *timer)
{
    for (;;) {
        unsigned child = place * 2;

        if (child > t->count)
            break;
        if (child < t->count && t->heap[child + 1]->at_us < t->heap[child]->at_us)
            child++;
        if (t->heap[child]->at_us >= timer->at_us)
            break;
        heap_put(t, place, t->heap[child]);
        place = child;
    }
    heap_put(t, place, timer);
}

void timer_arm(struct timers *t, struct timer *timer, int64_t at_us)
{
    assert(timer->place == 0);
    if (t->count + 1 >= t->capacity) {
        t->capacity = t->capacity ? t->capacity * 2 : 64;
        t->heap = mem_resize(t->heap, t->capacity * sizeof(struct timer *));
    }
    timer->at_us = at_us;
    heap_sift_up(t, ++t->count, timer);
}

void timer_disarm(struct timers *t, struct timer *timer)
{
    unsigned place = timer->place;

    if (place == 0)
        return;
    assert(place <= t->count && t->heap[place] == timer);
    timer->place = 0;
    struct timer *last = t->heap[t->count--];
    if (last == timer)
        return;
    if (place > 1 && t->heap[place / 2]->at_us > last->at_us)
        heap_sift_up(t, place, last);
    else
        heap_sift_down(t, place, last);
}

int64_t timers_next(const struct timers *t)
{
    return t->count ? t->heap[1]->at_us : USEC_NEVER;
}

struct timer *timers_expire(struct timers *t, int64_t now_us)
{
    if (timers_next(t) > now_us || t->count == 0)
        return NULL;
    struct timer *due = t->heap[1];
    timer_disarm(t, due);
    return due;
}
