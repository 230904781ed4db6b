#include <criterion/criterion.h>
#include <errno.h>

#include "common/bus/wire.h"

static struct bus_message plain(void)
{
    return (struct bus_message){.exchange = "e", .routing_key = "k", .body = SPAN("body")};
}

Test(encode, encode_publish__body_over_one_frame__is_cut_into_frames)
{
    static char body[2 * BUS_FRAME_MAX];
    struct buf out = {0};
    struct bus_message m = plain();
    m.body = span_make(body, sizeof(body));
    cr_assert_eq(encode_publish(&m, "u", &out), 0);
    size_t frames = 0, body_bytes = 0;
    for (size_t at = 0; at < out.len; frames++) {
        const uint8_t *f = (const uint8_t *)out.ptr + at;
        size_t len = (size_t)f[3] << 24 | (size_t)f[4] << 16 | (size_t)f[5] << 8 | f[6];
        cr_assert_leq(len + 8, BUS_FRAME_MAX);
        cr_assert_eq(f[7 + len], 0xCE);
        cr_assert_eq(f[1] << 8 | f[2], 1, "channel");
        body_bytes += f[0] == 3 ? len : 0;
        at += len + 8;
    }
    cr_assert_eq(frames, 2 + 3);
    cr_assert_eq(body_bytes, sizeof(body));
    buf_deinit(&out);
}

Test(encode, encode_publish__names_and_headers_over_the_limits__are_refused_without_a_trace)
{
    char name[257], text[BUS_TEXT_LIMIT + 2];
    memset(name, 'n', 256);
    name[256] = '\0';
    memset(text, 't', BUS_TEXT_LIMIT + 1);
    text[BUS_TEXT_LIMIT + 1] = '\0';
    struct buf out = {0};
    struct bus_message m = plain();
    m.type = name;
    cr_assert_eq(encode_publish(&m, "u", &out), ERR_INVALID);
    m = plain();
    m.headers[0] = (struct bus_header){.name = "h", .text = text};
    m.headers_count = 1;
    cr_assert_eq(encode_publish(&m, "u", &out), ERR_INVALID);
    text[BUS_TEXT_LIMIT] = '\0';
    cr_assert_eq(encode_publish(&m, "u", &out), 0);
    size_t len = out.len;
    for (m.headers_count = 0; m.headers_count < 9; m.headers_count++)
        m.headers[m.headers_count] = (struct bus_header){.name = "h", .text = text};
    cr_assert_eq(encode_publish(&m, "u", &out), -EMSGSIZE);
    cr_assert_eq(out.len, len);
    buf_deinit(&out);
}

Test(encode, header_is_brokers__knows_the_traces_of_a_death)
{
    cr_assert(header_is_brokers(SPAN("x-death")));
    cr_assert(header_is_brokers(SPAN("x-delivery-count")));
    cr_assert(header_is_brokers(SPAN("x-first-death-queue")));
    cr_assert_not(header_is_brokers(SPAN("x-deaths")));
    cr_assert_not(header_is_brokers(SPAN("souk-attempt")));
}

Test(encode, message_fingerprint__parts_do_not_run_together)
{
    uint64_t a = message_fingerprint(SPAN("ab"), SPAN("c"), SPAN("1"));
    cr_assert_neq(a, message_fingerprint(SPAN("a"), SPAN("bc"), SPAN("1")));
    cr_assert_neq(a, message_fingerprint(SPAN("ab"), SPAN("c"), SPAN("2")));
    cr_assert_eq(a, message_fingerprint(SPAN("ab"), SPAN("c"), SPAN("1")));
}
