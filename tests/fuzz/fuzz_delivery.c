/* Any bytes as the properties of a delivery: what the library makes of them becomes a message of
 * ours whose texts end and fit, and which our own encoder takes again or refuses by the rules. */

#include <stdlib.h>
#include <string.h>

#include <amqp.h>
#include <amqp_framing.h>

#include "common/base/mem.h"
#include "common/bus/parcel.h"
#include "common/bus/wire.h"

#define BODY "{}"

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void must_fit(const char *text, size_t limit)
{
    must(!text || strnlen(text, limit + 1) <= limit);
}

static void must_be_sound(const struct bus_message *m)
{
    const char *const names[] = {m->exchange, m->routing_key, m->message_id, m->type,
        m->correlation_id, m->app_id, m->user_id, m->content_type};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        must_fit(names[i], 255);
    must(m->headers_count <= BUS_HEADERS_LIMIT);
    for (size_t i = 0; i < m->headers_count; i++) {
        must(m->headers[i].name);
        must_fit(m->headers[i].name, 255);
        must_fit(m->headers[i].text, BUS_TEXT_LIMIT);
        must(bus_header_get(m, m->headers[i].name));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct parcel_place place = {.exchange = "order-events", .routing_key = "k", .tag = 7};
    amqp_pool_t pool;
    void *decoded = NULL;
    amqp_bytes_t bytes = {size, (void *)(uintptr_t)data};

    if (size > BUS_FRAME_MAX) /* no frame is longer */
        return 0;
    init_amqp_pool(&pool, 4096);
    if (amqp_decode_properties(AMQP_BASIC_CLASS, &pool, bytes, &decoded) == 0) {
        struct bus_parcel *parcel = parcel_new(&place, decoded, strlen(BODY));
        struct buf out = {0};
        memcpy(parcel->body, BODY, strlen(BODY));
        must_be_sound(&parcel->message);
        int r = encode_publish(&parcel->message, "user", &out);
        must((r == 0) == (out.len > 0));
        buf_deinit(&out);
        mem_free(parcel);
    }
    empty_amqp_pool(&pool);
    return 0;
}
