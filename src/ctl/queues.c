#include "ctl/queues.h"

#define QUEUE(service, queue, no_replay)                                                           \
    {                                                                                              \
        service, queue, queue ".dlq", no_replay                                                    \
    }

const struct queue_row queue_rows[QUEUES_COUNT] = {
    QUEUE("order", "order-queue", "an order's state also has what people did to it"),
    QUEUE("payment", "payment-settlement-queue", "what its inbox has forgotten it would charge"),
    QUEUE("seller", "seller-updates-queue", "what its inbox has forgotten would take stock again"),
    QUEUE("cart", "cart-queue", "a cart's state is what people put into it"),
    QUEUE("notification", "notification-queue", "what its inbox has forgotten it would mail again"),
    QUEUE("aibuddy", "ai-events-queue", NULL),
};
const size_t queue_rows_count = ARRAY_SIZE(queue_rows);

const struct queue_row *queue_find(const char *name)
{
    for (size_t i = 0; i < queue_rows_count; i++) {
        const struct queue_row *q = &queue_rows[i];
        if (strcmp(q->service, name) == 0 || strcmp(q->queue, name) == 0 ||
            strcmp(q->dead_letters, name) == 0)
            return q;
    }
    return NULL;
}
