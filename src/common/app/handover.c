/* Each handover is an arena of its own, which holds its node and its copies. It goes as a whole
 * into the arena of whoever takes it, so that nobody has to say that he is done: the reset at the
 * end of his work does. */

#include "common/app/handover.h"

#include "common/base/arena.h"

struct handed {
    struct handover handover;
    struct handed *next;
    struct handovers *queue;
    struct arena *arena; /* of this, too */
};

void handover_put(struct handovers *q, const struct table *t, struct list items, int64_t until_us)
{
    struct arena *a = arena_new();
    struct handed *h = ARENA_NEW(a, struct handed);
    *h = (struct handed){.handover = {list_copy(a, t, items), until_us}, .queue = q, .arena = a};
    *(q->first ? &q->last->next : &q->first) = h;
    q->last = h;
    q->count += items.len;
}

static void handed_free(void *handed)
{
    struct handed *h = handed;
    h->queue->count -= h->handover.items.len;
    arena_free(h->arena);
}

const struct handover *handover_take(struct handovers *q, struct arena *a)
{
    struct handed *h = q->first;
    if (!h)
        return NULL;
    q->first = h->next;
    arena_adopt(a, h, handed_free);
    return &h->handover;
}
