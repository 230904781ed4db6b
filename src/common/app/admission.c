/* The limit of requests in flight, as three published rules put together:
 *
 * How much. TCP Vegas (Brakmo, O'Malley, Peterson: "TCP Vegas: New Techniques for Congestion
 * Detection and Avoidance", SIGCOMM 1994; for services, Netflix's concurrency-limits): what takes
 * longer than it does alone has queued somewhere, in a pool, a database, a processor, and time over
 * base time is the length of that queue for each that is worked on. Below LOOSE times the limit
 * grows by a tenth, above TIGHT times it shrinks by a tenth, in between it stays. Only while it is
 * made use of: a shop without customers learns nothing about its limit. The base is the quickest
 * mean lately, by route, for a checkout is no product page; it is forgotten slowly, more slowly
 * while crowded, so that a database that has become slower is believed in the end.
 *
 * When. CoDel (Nichols, Jacobson: "Controlling Queue Delay", ACM Queue 10(5), 2012): a burst that
 * drains is no overload, a crowd that stands is. As long as there was a moment in the last interval
 * with fewer in flight than the limit, up to twice the limit may come in. Who has to be refused
 * even so, or a crowd that stood for an interval, is overload, until nobody was refused for a
 * second.
 *
 * Whom. DAGOR (Zhou et al.: "Overload Control for Scaling WeChat Microservices", SoCC 2018): by
 * what the request is worth to the business. In overload each class may fill only its share of the
 * limit, so browsing is turned away first and a checkout last; and the one who calls tells the one
 * who is called how full it is, so browsing elsewhere is turned away before a checkout is here.
 * What services ask of each other is never refused: it belongs to something that was let in, and to
 * refuse it would waste what was done already, or keep it from being undone. */

#include "common/app/admission.h"

#include <string.h>

#include "common/base/clock.h"

#define INTERVAL_US    (100 * USEC_PER_MS)
#define CALM_US        (1 * USEC_PER_SEC)
#define TOLD_US        (100 * USEC_PER_MS)
#define FORGET_US      (100 * USEC_PER_SEC)  /* the base grows by its own length in that time */
#define FORGET_FULL_US (1000 * USEC_PER_SEC) /* in overload */
#define START          2                     /* times the floor */
#define LOOSE          2
#define TIGHT          4
#define PACE_SAMPLES   8
#define JUDGE_SAMPLES  10

/* Percent of the limit that a class may fill in overload. */
static const unsigned shares[ADMISSION_CLASSES] = {[ADMIT_BROWSE] = 75,
    [ADMIT_CART] = 90,
    [ADMIT_LOGIN] = 90,
    [ADMIT_CHECKOUT] = 100,
    [ADMIT_VITAL] = 0};

const char *admission_class_name(enum admission_class c)
{
    static const char *const names[ADMISSION_CLASSES] = {
        [ADMIT_BROWSE] = "browse",
        [ADMIT_CART] = "cart",
        [ADMIT_LOGIN] = "login",
        [ADMIT_CHECKOUT] = "checkout",
        [ADMIT_VITAL] = "vital",
    };
    return names[c];
}

void admission_init(struct admission *a, unsigned floor, unsigned ceiling, int64_t now_us)
{
    if (ceiling < floor)
        ceiling = floor;
    *a = (struct admission){.floor = floor,
        .ceiling = ceiling,
        .limit = START * floor < ceiling ? START * floor : ceiling,
        .interval_end_us = now_us + INTERVAL_US};
}

/* ---- how much ---- */

static void limit_judge(struct admission *a)
{
    if (a->samples < JUDGE_SAMPLES)
        return;
    if (a->judged_most * 2 >= a->limit) {
        if (a->took_us > TIGHT * a->expected_us)
            a->limit *= 0.9;
        else if (a->took_us < LOOSE * a->expected_us)
            a->limit *= 1.1;
        if (a->limit < a->floor)
            a->limit = a->floor;
        if (a->limit > a->ceiling)
            a->limit = a->ceiling;
    }
    a->samples = a->judged_most = 0;
    a->took_us = a->expected_us = 0;
}

static void pace_learn(
    struct admission *a, struct admission_pace *p, int64_t took_us, int64_t now_us)
{
    p->sum_us += took_us;
    if (++p->count < PACE_SAMPLES)
        return;
    int64_t mean_us = p->sum_us / p->count, forget_us = a->overloaded ? FORGET_FULL_US : FORGET_US;
    int64_t since_us = now_us - p->learned_us;
    if (since_us > forget_us)
        since_us = forget_us;
    int64_t grown_us = p->base_us + p->base_us * since_us / forget_us;
    *p = (struct admission_pace){
        .base_us = p->base_us == 0 || mean_us < grown_us ? mean_us : grown_us,
        .learned_us = now_us};
}

/* ---- when ---- */

static void interval_roll(struct admission *a, int64_t now_us)
{
    if (now_us < a->interval_end_us)
        return;
    /* An interval that ended long ago had nobody coming or going since: all of it counts. */
    if (a->least >= a->limit)
        a->overloaded = true;
    else if (a->overloaded && now_us - a->refused_us >= CALM_US)
        a->overloaded = false;
    if (a->most > a->judged_most)
        a->judged_most = a->most;
    limit_judge(a);
    a->least = a->most = a->in_flight;
    a->interval_end_us = now_us + INTERVAL_US;
}

/* ---- whom ---- */

static bool has_room(const struct admission *a, enum admission_class c, int64_t now_us)
{
    if (c == ADMIT_VITAL)
        return true;
    if (now_us < a->told_until_us && a->told_percent >= shares[c])
        return false;
    if (c == ADMIT_LOGIN)
        return true;
    unsigned percent = a->overloaded ? shares[c] : 100 + shares[c];
    return a->in_flight * 100.0 < percent * a->limit;
}

bool admission_enter(struct admission *a, enum admission_class c, int64_t now_us)
{
    interval_roll(a, now_us);
    if (!has_room(a, c, now_us)) {
        a->overloaded = a->overloaded || a->in_flight >= a->limit;
        a->refused_us = now_us;
        a->shed[c]++;
        return false;
    }
    a->admitted[c]++;
    if (c != ADMIT_LOGIN && ++a->in_flight > a->most)
        a->most = a->in_flight;
    return true;
}

void admission_leave(struct admission *a, enum admission_class c, struct admission_pace *pace,
    int64_t took_us, int64_t now_us)
{
    interval_roll(a, now_us);
    if (c == ADMIT_LOGIN)
        return;
    if (--a->in_flight < a->least)
        a->least = a->in_flight;
    if (!pace)
        return;
    pace_learn(a, pace, took_us, now_us);
    if (pace->base_us == 0)
        return;
    a->samples++;
    a->took_us += took_us;
    a->expected_us += pace->base_us;
}

/* ---- telling ---- */

unsigned admission_pressure(const struct admission *a)
{
    return a->overloaded ? (unsigned)(a->in_flight * 100 / a->limit) : 0;
}

void admission_told(struct admission *a, unsigned percent, int64_t now_us)
{
    a->told_percent = percent;
    a->told_until_us = now_us + TOLD_US;
}
