#include "ctl/whereabouts.h"

#include <stdlib.h>

#include "ctl/broker.h"
#include "ctl/dlq.h"

/* A queue that is worked at is empty again and again, also under load: deliveries are in the
 * consumer's hands then. One that is full at every look has a backlog. */
#define LOOKS         20
#define LOOK_PAUSE_US (100 * USEC_PER_MS)

static const struct queue_row tiers[] = {
    {"", "", "order-events.retry.1s"},
    {"", "", "order-events.retry.5s"},
    {"", "", "order-events.retry.30s"},
    {"", "", "order-events.retry.5m"},
    {"", "", "order-events.retry.30m"},
};

void whereabouts_add(struct arena *a, struct held_list *list, const struct held_letter *letter)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct held_letter *at = arena_array(a, capacity, sizeof(*at));
        if (list->count)
            memcpy(at, list->at, list->count * sizeof(*at));
        list->at = at;
        list->capacity = capacity;
    }
    list->at[list->count++] = (struct held_letter){
        arena_strdup(a, letter->id), arena_strdup(a, letter->code), letter->failed_us};
}

static int compare_letters(const void *a, const void *b)
{
    const struct held_letter *left = a, *right = b;
    return strcmp(left->id, right->id);
}

void whereabouts_sort(struct held_list *list)
{
    if (list->count)
        qsort(list->at, list->count, sizeof(*list->at), compare_letters);
}

const struct held_letter *whereabouts_find(const struct held_list *list, const char *id)
{
    const struct held_letter key = {.id = id};
    return list->count ? bsearch(&key, list->at, list->count, sizeof(key), compare_letters) : NULL;
}

/* ---- queues, by counting ---- */

/* Takes those out of `*full` that are empty now. */
static int count_once(struct broker *b, unsigned *full)
{
    char why[BROKER_WHY_SIZE];
    for (size_t i = 0; i < QUEUES_COUNT; i++) {
        unsigned count;
        if (!(*full & 1U << i))
            continue;
        int r = broker_count(b, queue_rows[i].queue, &count, why);
        if (r == BROKER_NO_QUEUE)
            return ctl_fail(CTL_WRONG,
                "the broker has no queue %s: import rabbitmq/definitions.json",
                queue_rows[i].queue);
        if (r != 0)
            return broker_unreachable(why);
        if (count == 0)
            *full &= ~(1U << i);
    }
    return 0;
}

static int look_at_depths(
    struct ctl *ctl, unsigned wanted, struct whereabouts held[static QUEUES_COUNT])
{
    char why[BROKER_WHY_SIZE];
    struct broker *b;
    if (!*ctl->amqp_url)
        return ctl_fail(CTL_USAGE, "OPS_AMQP_URL is not set; ./souk ctl sets it");
    int r = broker_open(ctl->amqp_url, &b, why);
    if (r != 0)
        return r == ERR_INVALID ? ctl_fail(CTL_USAGE, "%s", why) : broker_unreachable(why);
    for (int i = 0; i < LOOKS && wanted && r == 0; i++) {
        if (i > 0)
            (void)fiber_sleep(LOOK_PAUSE_US);
        r = count_once(b, &wanted);
    }
    for (size_t i = 0; i < QUEUES_COUNT; i++)
        held[i].queued = (wanted & 1U << i) != 0;
    broker_free(b);
    return r;
}

/* ---- letters, by name ---- */

static int look_at_dead_letters(
    struct ctl *ctl, struct arena *a, const struct queue_row *queue, struct whereabouts *held)
{
    struct dlq d;
    int r = dlq_open(ctl, queue, &d);
    if (r != 0)
        return r;
    for (size_t i = 0; i < d.letters.count; i++) {
        const struct letter *l = d.letters.at[i];
        whereabouts_add(a, &held->dead, &(struct held_letter){l->id, l->code, l->failed_us});
    }
    held->partial = held->partial || d.partial;
    return dlq_close(&d);
}

static struct whereabouts *origin_of(
    const struct letter *l, struct whereabouts held[static QUEUES_COUNT])
{
    const struct bus_header *origin = bus_header_get(l->message, "souk-origin-queue");
    const struct queue_row *queue = origin && origin->text ? queue_find(origin->text) : NULL;
    return queue ? &held[queue - queue_rows] : NULL;
}

/* What is shown of a tier's letter waits a moment longer in it, no more. */
static int look_at_tier(struct ctl *ctl, struct arena *a, const struct queue_row *tier,
    struct whereabouts held[static QUEUES_COUNT])
{
    struct dlq d;
    int r = dlq_open(ctl, tier, &d);
    if (r != 0)
        return r;
    for (size_t i = 0; i < d.letters.count; i++) {
        const struct letter *l = d.letters.at[i];
        struct whereabouts *of = origin_of(l, held);
        if (of)
            whereabouts_add(a, &of->retrying, &(struct held_letter){l->id, l->code, l->failed_us});
    }
    for (size_t i = 0; d.partial && i < QUEUES_COUNT; i++)
        held[i].partial = true;
    return dlq_close(&d);
}

int whereabouts_look(
    struct ctl *ctl, struct arena *a, unsigned wanted, struct whereabouts held[static QUEUES_COUNT])
{
    memset(held, 0, QUEUES_COUNT * sizeof(*held));
    if (!wanted)
        return 0;
    int r = look_at_depths(ctl, wanted, held);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tiers); i++)
        r = look_at_tier(ctl, a, &tiers[i], held);
    for (size_t i = 0; r == 0 && i < QUEUES_COUNT; i++)
        if (wanted & 1U << i)
            r = look_at_dead_letters(ctl, a, &queue_rows[i], &held[i]);
    for (size_t i = 0; i < QUEUES_COUNT; i++) {
        whereabouts_sort(&held[i].dead);
        whereabouts_sort(&held[i].retrying);
    }
    return r;
}

/* ---- at rest? ---- */

static int count_into(
    struct broker *b, const char *queue, unsigned *count, unsigned *most, const char **what)
{
    char why[BROKER_WHY_SIZE];
    unsigned one;
    TRY(broker_count(b, queue, &one, why));
    *count += one;
    if (one > *most) {
        *most = one;
        *what = queue;
    }
    return 0;
}

int whereabouts_count(struct ctl *ctl, struct arena *a, unsigned *ret_count, const char **ret_what)
{
    char why[BROKER_WHY_SIZE];
    struct broker *b;
    unsigned count = 0, most = 0;
    const char *what = "";
    TRY(broker_open(ctl->amqp_url, &b, why));
    int r = 0;
    for (size_t i = 0; r == 0 && i < QUEUES_COUNT; i++)
        r = count_into(b, queue_rows[i].queue, &count, &most, &what);
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tiers); i++)
        r = count_into(b, tiers[i].dead_letters, &count, &most, &what);
    broker_free(b);
    if (r != 0)
        return ERR(ERR_UNAVAILABLE);
    *ret_count = count;
    *ret_what = arena_printf(a, "%s %u", what, most);
    return 0;
}
