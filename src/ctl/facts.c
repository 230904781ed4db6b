#include "ctl/facts.h"

#include <inttypes.h>

#include "common/base/buf.h"
#include "common/json/reader.h"
#include "ctl/sheet.h"

#define FACT_LIMIT 60

/* What any of our events may have. Each is a member of its own kind in every event that has it. */
struct item {
    const char *sku;
};
static const struct field item_fields[] = {FIELD_TEXT(struct item, sku, "sku")};
static const struct table item_table = TABLE("FactsItem", struct item, item_fields);

struct facts {
    const char *order_id, *payment_id, *user_id, *sku, *status, *reason, *currency;
    int64_t amount, total_amount, available;
    struct list items;
};
#define NO_NUMBER INT64_MIN
static const struct field facts_fields[] = {
    FIELD_TEXT(struct facts, order_id, "orderId"),
    FIELD_TEXT(struct facts, payment_id, "paymentId"),
    FIELD_TEXT(struct facts, user_id, "userId"),
    FIELD_TEXT(struct facts, sku, "sku"),
    FIELD_TEXT(struct facts, status, "status"),
    FIELD_TEXT(struct facts, reason, "reason"),
    FIELD_TEXT(struct facts, currency, "currency"),
    FIELD_I64(struct facts, amount, "amount", .fallback = NO_NUMBER),
    FIELD_I64(struct facts, total_amount, "totalAmount", .fallback = NO_NUMBER),
    FIELD_I64(struct facts, available, "available", .fallback = NO_NUMBER),
    FIELD_LIST(struct facts, items, "items", item_table),
};
static const struct table facts_table = TABLE("Facts", struct facts, facts_fields);

struct whole {
    struct span payload;
};
static const struct field whole_fields[] = {FIELD_RAW(struct whole, payload, "payload")};
static const struct table whole_table = TABLE("Whole", struct whole, whole_fields);

static void put_text(struct buf *out, struct arena *a, const char *name, const char *text)
{
    if (text && *text)
        buf_printf(out, "%s%s=%.*s", out->len ? " " : "", name, FACT_LIMIT,
            text_harmless(a, span_of(text)));
}

static void put_id(
    struct buf *out, struct arena *a, const char *name, const char *id, const char *known)
{
    if (id && !(known && strcmp(id, known) == 0))
        put_text(out, a, name, id);
}

static void put_number(struct buf *out, const char *name, int64_t value)
{
    if (value != NO_NUMBER)
        buf_printf(out, "%s%s=%" PRId64, out->len ? " " : "", name, value);
}

static void put_money(struct buf *out, const char *name, int64_t amount, const char *currency)
{
    struct money m = {.amount = amount};
    char text[64];
    if (amount == NO_NUMBER || !currency || !money_currency_known(span_of(currency))) {
        put_number(out, name, amount);
        return;
    }
    memcpy(m.currency, currency, strlen(currency) + 1);
    money_format(&m, text, sizeof(text));
    buf_printf(out, "%s%s=%s", out->len ? " " : "", name, text);
}

static bool facts_read(struct arena *a, struct span payload, struct facts *ret_facts)
{
    struct json_errors errors = {0};
    return json_read(a, payload, &facts_table, JSON_LENIENT, ret_facts, &errors) == 0;
}

const char *facts_of_payload(struct arena *a, struct span payload, const char *known)
{
    struct facts f;
    struct buf out = {0};
    if (!facts_read(a, payload, &f))
        return "";
    put_id(&out, a, "order", f.order_id, known);
    put_id(&out, a, "payment", f.order_id ? NULL : f.payment_id, known);
    put_id(&out, a, "user", f.order_id ? NULL : f.user_id, known);
    put_id(&out, a, "sku", f.sku, known);
    put_text(&out, a, "status", f.status);
    put_money(&out, "amount", f.amount, f.currency);
    put_money(&out, "total", f.total_amount, f.currency);
    put_number(&out, "available", f.available);
    if (f.items.len)
        put_number(&out, "items", (int64_t)f.items.len);
    put_text(&out, a, "reason", f.reason);
    const char *text = arena_strndup(a, out.ptr ? out.ptr : "", out.len);
    buf_deinit(&out);
    return text;
}

const char *facts_of_body(struct arena *a, struct span body, const char *known)
{
    struct whole w;
    struct json_errors errors = {0};
    if (json_read(a, body, &whole_table, JSON_LENIENT, &w, &errors) != 0)
        return "";
    return facts_of_payload(a, w.payload, known);
}

const char *facts_order(struct arena *a, struct span payload)
{
    struct facts f;
    return facts_read(a, payload, &f) ? f.order_id : NULL;
}
