/* From events to what the templates can name. Pure. */

#include <stdio.h>

#include "common/base/crypto.h"
#include "common/json/reader.h"
#include "notification/notification.h"

static const struct field message_line_fields[] = {
    FIELD_TEXT(struct message_line, name, "name"),
    FIELD_I64(struct message_line, quantity, "quantity"),
    FIELD_MONEY(struct message_line, unit_price, "unitPrice"),
    FIELD_MONEY(struct message_line, total, "total"),
};
static const struct table message_line_table =
    TABLE("MessageLine", struct message_line, message_line_fields);

static const struct field message_fields[] = {
    FIELD_TEXT(struct message, name, "name", .omit_empty = true),
    FIELD_TEXT(struct message, order_id, "orderId", .omit_empty = true),
    FIELD_TEXT(struct message, payment_id, "paymentId", .omit_empty = true),
    FIELD_TEXT(struct message, reason, "reason", .omit_empty = true),
    FIELD_TEXT(struct message, url, "url", .omit_empty = true),
    FIELD_TEXT(struct message, until, "until", .omit_empty = true),
    FIELD_TEXT(struct message, address, "address", .omit_empty = true),
    FIELD_TEXT(struct message, user_agent, "userAgent", .omit_empty = true),
    FIELD_TEXT(struct message, preferences_url, "preferencesUrl", .omit_empty = true),
    FIELD_LIST(struct message, items, "items", message_line_table, .omit_empty = true),
    FIELD_MONEY(struct message, amount, "amount", .omit_empty = true),
    FIELD_MONEY(struct message, refunded_total, "refundedTotal", .omit_empty = true),
};
const struct table message_table = TABLE("Message", struct message, message_fields);

static struct money money_of(int64_t amount, const char *currency)
{
    struct money m = {.amount = amount};
    snprintf(m.currency, sizeof(m.currency), "%s", currency ? currency : "");
    return m;
}

static struct message about_order(struct arena *a, const char *public_url, const char *order_id)
{
    return (struct message){.order_id = order_id,
        .url = arena_printf(a, "%s/api/v1/orders/%s", public_url, order_id),
        .preferences_url = arena_printf(a, "%s/api/v1/notifications/preferences", public_url)};
}

int message_of_order_created(
    struct arena *a, const char *public_url, const struct order_created *o, struct message *ret)
{
    struct message m = about_order(a, public_url, o->order_id);
    m.name = o->user_name;
    m.payment_id = o->payment_id;
    m.amount = money_of(o->total_amount, o->currency);
    m.items.len = o->items.len;
    m.items.items = arena_array(a, o->items.len, sizeof(struct message_line));
    for (size_t i = 0; i < o->items.len; i++) {
        const struct order_item *item = LIST_AT(o->items, struct order_item, i);
        struct message_line *line = LIST_AT(m.items, struct message_line, i);
        *line = (struct message_line){
            .name = item->name, .quantity = item->quantity, .unit_price = item->unit_price};
        TRY(money_multiply(&item->unit_price, item->quantity, &line->total));
    }
    *ret = m;
    return 0;
}

void message_of_order(
    struct arena *a, const char *public_url, const struct order_event *o, struct message *ret)
{
    *ret = about_order(a, public_url, o->order_id);
    ret->payment_id = o->payment_id;
    ret->reason = o->reason;
    ret->amount = money_of(o->total_amount, o->currency);
}

void message_of_payment(
    struct arena *a, const char *public_url, const struct payment_event *p, struct message *ret)
{
    *ret = about_order(a, public_url, p->order_id);
    ret->payment_id = p->payment_id;
    ret->reason = p->reason;
    ret->amount = money_of(p->amount, p->currency);
    if (p->refunded_total > p->amount)
        ret->refunded_total = money_of(p->refunded_total, p->currency);
}

void message_of_user(
    struct arena *a, const char *public_url, const struct user_event *u, struct message *ret)
{
    *ret = (struct message){.name = u->name,
        .url = public_url,
        .preferences_url = arena_printf(a, "%s/api/v1/notifications/preferences", public_url)};
}

void message_of_link(struct arena *a, const char *public_url, const char *page,
    const struct user_link_event *l, struct message *ret)
{
    char until[CLOCK_TEXT_SIZE];
    clock_format(l->expires_at, until);
    *ret = (struct message){.url = arena_printf(a, "%s%s?token=%s", public_url, page, l->token),
        .until = arena_printf(a, "%.10s %.5s UTC", until, until + 11),
        .preferences_url = arena_printf(a, "%s/api/v1/notifications/preferences", public_url)};
}

void message_of_session(struct arena *a, const char *public_url, const struct user_session_event *s,
    struct message *ret)
{
    *ret = (struct message){.name = s->name,
        .address = s->address,
        .user_agent = s->user_agent,
        .url = arena_printf(a, "%s/api/v1/auth/sessions", public_url),
        .preferences_url = arena_printf(a, "%s/api/v1/notifications/preferences", public_url)};
}

bool message_token_readable(const struct user_link_event *l)
{
    uint8_t bytes[512];
    return crypto_base64url_decode(span_of(l->token), bytes, sizeof(bytes)) > 0;
}

const char *message_unseal(
    struct arena *a, struct span key, const char *user_id, const char *sealed, const char *text)
{
    uint8_t token[256];
    struct buf out = {0};
    size_t len = strlen(sealed);
    ssize_t n = crypto_unseal(key, span_of(user_id), span_of(sealed), token, sizeof(token));
    if (n < 0 || len == 0)
        return NULL;
    for (const char *at; (at = strstr(text, sealed)); text = at + len) {
        buf_put_span(&out, span_make(text, (size_t)(at - text)));
        buf_put_span(&out, span_make(token, (size_t)n));
    }
    buf_put_text(&out, text);
    const char *open = arena_strndup(a, out.ptr, out.len);
    buf_deinit(&out);
    return open;
}

void message_sample(struct arena *a, const char *public_url, struct message *ret)
{
    static struct order_item items[] = {
        {"TEA-1", "Green tea <loose> & mint", "01900000-0000-7000-8000-000000000001", 2,
            {1250, "USD"}},
        {"POT-1", "Teapot", "01900000-0000-7000-8000-000000000001", 1, {4999, "USD"}},
    };
    const struct order_created order = {.order_id = "01900000-0000-7000-8000-000000000002",
        .user_name = "Zo\xc3\xab Sample",
        .payment_id = "01900000-0000-7000-8000-000000000003",
        .items = {ARRAY_SIZE(items), items},
        .total_amount = 7499,
        .currency = "USD"};
    (void)message_of_order_created(a, public_url, &order, ret); /* its sums fit */
    ret->reason = "This reason is a sample";
    ret->until = "2026-01-31 12:00 UTC";
    ret->address = "192.0.2.7";
    ret->user_agent = "Mozilla/5.0 (a sample)";
    ret->refunded_total = money_of(7499, "USD");
}

static int render_text(struct arena *a, const char *source, enum template_format format,
    const struct message *m, const char **ret_text)
{
    struct buf out = {0};
    int r = template_render(&out, source, format, &message_table, m);
    *ret_text = arena_strndup(a, buf_span(&out).ptr, out.len);
    buf_deinit(&out);
    return r < 0 ? ERR(r) : r;
}

int message_render(struct arena *a, const struct template *template, const struct message *m,
    struct preview *ret_texts)
{
    struct preview texts = {.name = template->name};
    TRY(render_text(a, template->subject, TEMPLATE_PLAIN, m, &texts.subject));
    TRY(render_text(a, template->text, TEMPLATE_PLAIN, m, &texts.text));
    TRY(render_text(a, template->html, TEMPLATE_HTML, m, &texts.html));
    *ret_texts = texts;
    return 0;
}

int message_subject(struct arena *a, const struct template *template, const struct message *m,
    const char **ret_subject)
{
    return render_text(a, template->subject, TEMPLATE_PLAIN, m, ret_subject);
}

/* SMS and push say no more than the subject of the mail. */
int delivery_texts(struct arena *a, struct delivery *d)
{
    const struct template *template = template_find(d->template);
    struct json_errors errors;
    struct message m;
    struct preview texts;
    if (d->text)
        return 0;
    if (!d->message) {
        d->text = d->subject;
        return 0;
    }
    if (!template || json_read(a, span_of(d->message), &message_table, JSON_LENIENT, &m, &errors))
        return ERR(ERR_INVALID);
    TRY(message_render(a, template, &m, &texts));
    d->text = texts.text;
    d->html = texts.html;
    return 0;
}
