#include <stdio.h>

#include "common/json/reader.h"
#include "load/load.h"

/* ---- what an answer says ---- */

struct said {
    const char *code, *order_id, *access_token, *refresh_token, *payment_method_id;
};
static const struct field said_fields[] = {
    FIELD_TEXT(struct said, code, "code"),
    FIELD_TEXT(struct said, order_id, "orderId"),
    FIELD_TEXT(struct said, access_token, "accessToken", .max = 8192),
    FIELD_TEXT(struct said, refresh_token, "refreshToken", .max = 512),
    FIELD_TEXT(struct said, payment_method_id, "paymentMethodId"),
};
static const struct table said_table = TABLE("Said", struct said, said_fields);

const char *answer_text(const struct wire_answer *a, const char *member)
{
    struct said said = {0};
    struct json_errors errors;
    if (a->result != WIRE_ANSWERED ||
        json_read(fiber_arena(), a->body, &said_table, JSON_LENIENT, &said, &errors) != 0)
        return "";
    for (size_t i = 0; i < ARRAY_SIZE(said_fields); i++)
        if (strcmp(said_fields[i].name, member) == 0) {
            const char *text = *(const char **)(void *)((char *)&said + said_fields[i].offset);
            return text ? text : "";
        }
    return "";
}

/* ---- judging it ---- */

/* Its name among the outcomes: "201", "409 out_of_stock", "timeout". */
static const char *outcome_name(const struct wire_answer *a)
{
    if (a->result != WIRE_ANSWERED)
        return wire_result_name(a->result);
    const char *code = a->status >= 400 ? answer_text(a, "code") : "";
    return arena_printf(fiber_arena(), "%d%s%s", a->status, *code ? " " : "", code);
}

/* Whether `outcome` is among the words of `expected`, and whether with a ~. */
static bool outcome_expected(const char *outcome, const char *expected, bool *ret_again)
{
    struct span words = span_of(expected), word;
    while (span_cut(&words, ' ', &word)) {
        struct span status;
        bool again = word.len > 0 && word.ptr[0] == '~';
        word.ptr += again, word.len -= again;
        (void)span_cut(&word, ':', &status);
        if (strncmp(outcome, status.ptr, status.len) != 0)
            continue;
        const char *code = outcome + status.len;
        if (*code == '\0' ? word.ptr != NULL : !word.ptr || !span_equal(span_of(code + 1), word))
            continue;
        return *ret_again = again, true;
    }
    return false;
}

bool answer_is(const struct wire_answer *a, const char *expected)
{
    bool again;
    return outcome_expected(outcome_name(a), expected, &again);
}

static enum answer_kind kind_of(
    const struct wire_answer *a, const char *outcome, const char *expected)
{
    bool again;
    if (a->result != WIRE_ANSWERED)
        return ANSWER_LOST;
    if (outcome_expected(outcome, expected, &again))
        return again ? ANSWER_AGAIN : ANSWER_GOOD;
    return (a->status == 429 || a->status == 503) && a->retry_after_s >= 0 ? ANSWER_SHED
                                                                           : ANSWER_WRONG;
}

/* A line for each answer, for scripts that look at a part of the run. */
static void log_line(struct visit *v, const char *series, const struct wire_answer *a,
    int64_t due_us, int64_t took_us)
{
    const char *order = a->status == 201 ? answer_text(a, "orderId") : "";
    int64_t due_wall_us = clock_wall_us() - (clock_mono_us() - due_us);
    fprintf(v->run->log, "%s %lld %lld %d %s\n", series, (long long)(due_wall_us / USEC_PER_MS),
        (long long)took_us, a->result == WIRE_ANSWERED ? a->status : -(int)a->result,
        *order ? order : "-");
    fflush(v->run->log);
}

bool visit_ask(struct visit *v, const char *series, const char *expected, enum shop_peer peer,
    const struct wire_request *q, struct wire_answer *ret_answer)
{
    struct run *run = v->run;
    struct wire_answer *a = ret_answer;
    wire_call(run->shop.wires[peer], q, a);
    const char *outcome = outcome_name(a);
    enum answer_kind kind = kind_of(a, outcome, expected);
    int64_t due_us = a->begun_us - v->late_us, took_us = a->ended_us - due_us;
    if (v->due_us >= run->counted_from_us)
        tally_answer(
            &run->tally, tally_series(&run->tally, series), kind, outcome, a->body, took_us);
    if (run->log)
        log_line(v, series, a, due_us, took_us);
    v->failed = v->failed || kind >= ANSWER_SHED;
    v->shed = v->shed || kind == ANSWER_SHED;
    v->wrong = v->wrong || kind > ANSWER_SHED;
    return kind == ANSWER_GOOD;
}

void visit_ask_aside(struct visit *v, enum shop_peer peer, const struct wire_request *q,
    struct wire_answer *ret_answer)
{
    wire_call(v->run->shop.wires[peer], q, ret_answer);
}
