#include <criterion/criterion.h>

#include "common/app/handover.h"
#include "common/base/arena.h"

struct thing {
    const char *name;
    int64_t size;
};
static const struct field thing_fields[] = {
    FIELD_TEXT(struct thing, name, "name"),
    FIELD_I64(struct thing, size, "size"),
};
static const struct table thing_table = TABLE("Thing", struct thing, thing_fields);

static struct handovers queue;

/* As a batch does: what it hands over is gone after it. */
static void put(const char *name, size_t count, int64_t until_us)
{
    struct arena *batch = arena_new();
    struct thing *things = arena_array(batch, count, sizeof(*things));
    for (size_t i = 0; i < count; i++)
        things[i] = (struct thing){arena_printf(batch, "%s%zu", name, i), (int64_t)i};
    handover_put(&queue, &thing_table, (struct list){count, things}, until_us);
    arena_reset(batch); /* wipes */
    arena_free(batch);
}

static void assert_name(const struct handover *h, size_t i, const char *name)
{
    cr_assert_str_eq(LIST_AT(h->items, struct thing, i)->name, name);
}

Test(handover, taken__in_the_order_of_the_batches__as_they_were)
{
    struct arena *worker = arena_new();
    put("a", 2, 111);
    put("b", 1, 222);

    const struct handover *a = handover_take(&queue, worker), *b = handover_take(&queue, worker);
    cr_assert_null(handover_take(&queue, worker));
    cr_assert_eq(a->items.len, 2);
    cr_assert_eq(a->until_us, 111);
    assert_name(a, 0, "a0");
    assert_name(a, 1, "a1");
    cr_assert_eq(LIST_AT(a->items, struct thing, 1)->size, 1);
    cr_assert_eq(b->until_us, 222);
    assert_name(b, 0, "b0");
    arena_free(worker);
}

Test(handover, put_while_others_are_worked_on__waits_for_the_next_take)
{
    struct arena *worker = arena_new();
    put("a", 1, 1);
    const struct handover *a = handover_take(&queue, worker);
    put("b", 1, 1);
    put("c", 1, 1);
    assert_name(a, 0, "a0");
    arena_reset(worker);

    assert_name(handover_take(&queue, worker), 0, "b0");
    arena_reset(worker);
    assert_name(handover_take(&queue, worker), 0, "c0");
    cr_assert_null(handover_take(&queue, worker));
    arena_free(worker);
}

Test(handover, count__goes_down_when_the_taker_has_ended)
{
    struct arena *worker = arena_new();
    put("a", 3, 1);
    put("b", 2, 1);
    cr_assert_eq(queue.count, 5);
    (void)handover_take(&queue, worker);
    cr_assert_eq(queue.count, 5, "they are worked on");
    arena_reset(worker);
    cr_assert_eq(queue.count, 2);
    (void)handover_take(&queue, worker);
    arena_reset(worker);
    cr_assert_eq(queue.count, 0);
    arena_free(worker);
}

Test(handover, nothing__is_a_handover_too)
{
    struct arena *worker = arena_new();
    put("a", 0, 1);
    const struct handover *a = handover_take(&queue, worker);
    cr_assert_not_null(a);
    cr_assert_eq(a->items.len, 0);
    arena_free(worker);
}
