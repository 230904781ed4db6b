#include "ctl/queues.h"

#define QUEUE(service, queue)                                                                      \
    {                                                                                              \
        service, queue, queue ".dlq"                                                               \
    }

const struct queue_row queue_rows[QUEUES_COUNT] = {
    QUEUE("order", "order-queue"),
    QUEUE("payment", "payment-settlement-queue"),
    QUEUE("seller", "seller-updates-queue"),
    QUEUE("cart", "cart-queue"),
    QUEUE("notification", "notification-queue"),
    QUEUE("aibuddy", "ai-events-queue"),
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
