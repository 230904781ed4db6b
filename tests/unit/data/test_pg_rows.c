#include "common/data/pg_link.h"
#include "pg_test.h"

struct point {
    int64_t x;
    const char *label;
};
static const struct field point_fields[] = {
    FIELD_I64(struct point, x, "x"),
    FIELD_TEXT(struct point, label, "label"),
};
static const struct table point_table = TABLE("Point", struct point, point_fields);

struct all {
    const char *text, *uuid;
    int64_t number;
    bool yes;
    int64_t at;
    struct money price;
    struct point *object;
    struct list list, texts;
    struct span raw;
    double real;
    int64_t last;
};
static const struct field all_fields[] = {
    FIELD_TEXT(struct all, text, "text"),
    FIELD_UUID(struct all, uuid, "uuid"),
    FIELD_I64(struct all, number, "number", .fallback = -7),
    FIELD_BOOL(struct all, yes, "yes", .fallback = 1),
    FIELD_TIME(struct all, at, "at"),
    FIELD_MONEY(struct all, price, "price"),
    FIELD_OBJECT(struct all, object, "object", point_table),
    FIELD_LIST(struct all, list, "list", point_table),
    FIELD_TEXTS(struct all, texts, "texts"),
    FIELD_RAW(struct all, raw, "raw"),
    FIELD_REAL(struct all, real, "real"),
    FIELD_I64(struct all, last, "last", .hidden = true),
};
static const struct table all_table = TABLE("All", struct all, all_fields);

static const struct pg_statement sql_all = {"all",
    "SELECT E'caf\\u00e9 \"x\"'::text, '0190a5f0-7c1e-7000-8000-000000000001'::uuid, "
    "(-9223372036854775808)::bigint, false, '2026-11-21 12:30:00.25+02'::timestamptz, "
    "1999::bigint, "
    "'USD'::char(3), '{\"x\": 3, \"label\": \"here\", \"more\": []}'::jsonb, "
    "'[{\"x\": 1}, {\"x\": 2, \"label\": \"b\"}]'::json, '[\"a\", \"b c\"]'::jsonb, "
    "'{\"any\": [1]}'::json, 0.25::float8, 42::smallint",
    &all_table};
static const struct pg_statement sql_nulls = {"nulls",
    "SELECT NULL::text, NULL::uuid, NULL::int, NULL::bool, NULL::timestamptz, NULL::bigint, "
    "NULL::text, NULL::jsonb, NULL::jsonb, NULL::jsonb, NULL::json, NULL::float8, 42",
    &all_table};

PG_TEST(pg_rows, row__with_a_value_of_every_kind__fills_the_struct)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_result result;
    int64_t at = 0;
    const struct all *all;

    OK(pg_query(p, &sql_all, PG_NO_ARGS, &result));
    cr_assert_eq(result.rows.len, 1);
    all = PG_ROW(result, struct all, 0);
    cr_assert_str_eq(all->text, "caf\xc3\xa9 \"x\"");
    cr_assert_str_eq(all->uuid, "0190a5f0-7c1e-7000-8000-000000000001");
    cr_assert_eq(all->number, INT64_MIN);
    cr_assert_not(all->yes);
    cr_assert(clock_parse(SPAN("2026-11-21T10:30:00.25Z"), &at));
    cr_assert_eq(all->at, at);
    cr_assert_eq(all->price.amount, 1999);
    cr_assert_str_eq(all->price.currency, "USD");
    cr_assert_eq(all->object->x, 3);
    cr_assert_str_eq(all->object->label, "here");
    cr_assert_eq(all->list.len, 2);
    cr_assert_eq(LIST_AT(all->list, struct point, 1)->x, 2);
    cr_assert_str_eq(LIST_AT(all->list, struct point, 1)->label, "b");
    cr_assert_eq(all->texts.len, 2);
    cr_assert_str_eq(*LIST_AT(all->texts, const char *, 1), "b c");
    cr_assert(span_equal(all->raw, SPAN("{\"any\": [1]}")));
    cr_assert_float_eq(all->real, 0.25, 1e-12);
    cr_assert_eq(all->last, 42);
    pg_pool_free(p);
}

PG_TEST(pg_rows, row__of_nulls__is_what_the_table_calls_absent)
{
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_result result;
    const struct all *all;

    OK(pg_query(p, &sql_nulls, PG_NO_ARGS, &result));
    all = PG_ROW(result, struct all, 0);
    cr_assert_null(all->text);
    cr_assert_null(all->uuid);
    cr_assert_eq(all->number, -7);
    cr_assert(all->yes);
    cr_assert_eq(all->at, 0);
    cr_assert_eq(all->price.amount, 0);
    cr_assert_str_eq(all->price.currency, "");
    cr_assert_null(all->object);
    cr_assert_eq(all->list.len, 0);
    cr_assert_eq(all->texts.len, 0);
    cr_assert_eq(all->raw.len, 0);
    cr_assert_eq(all->real, 0);
    cr_assert_eq(all->last, 42);
    pg_pool_free(p);
}

PG_TEST(pg_rows, arguments__of_every_kind__come_back_as_they_went)
{
    static const struct pg_statement echo = {"echo",
        "SELECT $1::text, $2::uuid, $3::bigint, $4::bool, $5::timestamptz, $6::bigint, $7::text, "
        "$8::jsonb, $9::jsonb, $10::jsonb, $11::json, $12::float8, 1",
        &all_table};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_result result;
    int64_t now = clock_wall_us();
    const struct all *all;

    OK(pg_query(p, &echo,
        PG_ARGS(PG_SPAN(SPAN("it's; --")), PG_TEXT(NULL), PG_I64(INT64_MAX), PG_BOOL(true),
            PG_TIME(now), PG_I64(-1), PG_TEXT("JPY"), PG_TEXT("{\"x\":1}"), PG_TEXT("[]"),
            ((struct pg_arg){.kind = PG_ARG_NULL}), PG_SPAN(SPAN("[1]")), PG_REAL(0.1)),
        &result));
    all = PG_ROW(result, struct all, 0);
    cr_assert_str_eq(all->text, "it's; --");
    cr_assert_null(all->uuid);
    cr_assert_eq(all->number, INT64_MAX);
    cr_assert(all->yes);
    cr_assert_eq(all->at, now);
    cr_assert_eq(all->price.amount, -1);
    cr_assert_str_eq(all->price.currency, "JPY");
    cr_assert_eq(all->object->x, 1);
    cr_assert_eq(all->real, 0.1);

    OK(pg_query(p, &echo,
        PG_ARGS(PG_TEXT(""), PG_TEXT(NULL), PG_I64(0), PG_BOOL(false), PG_TIME(0), PG_I64(0),
            PG_TEXT(NULL), PG_TEXT(NULL), PG_TEXT(NULL), PG_TEXT(NULL), PG_TEXT(NULL), PG_REAL(0)),
        NULL));
    pg_pool_free(p);
}

PG_TEST(pg_rows, argument__with_a_nul_byte__is_refused)
{
    static const struct pg_statement echo = {"echo", "SELECT $1::text", &text_table};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_result result = {.affected = 77};

    GIVES(ERR_INVALID, pg_query(p, &echo, PG_ARGS(PG_SPAN(span_make("a\0b", 3))), &result));
    cr_assert_eq(result.affected, 77, "out-argument was touched");
    OK(pg_query(p, &echo, PG_ARGS(PG_SPAN(span_make("ab", 2))), &result));
    cr_assert_str_eq(PG_ROW(result, struct text, 0)->text, "ab");
    pg_pool_free(p);
}

struct priced {
    struct money price;
};
static const struct field priced_fields[] = {FIELD_MONEY(struct priced, price, "price")};
static const struct table priced_table = TABLE("Priced", struct priced, priced_fields);
struct flagged {
    bool yes;
};
static const struct field flagged_fields[] = {FIELD_BOOL(struct flagged, yes, "yes")};
static const struct table flagged_table = TABLE("Flagged", struct flagged, flagged_fields);
struct dated {
    int64_t at;
};
static const struct field dated_fields[] = {FIELD_TIME(struct dated, at, "at")};
static const struct table dated_table = TABLE("Dated", struct dated, dated_fields);
struct measured {
    double real;
};
static const struct field measured_fields[] = {FIELD_REAL(struct measured, real, "real")};
static const struct table measured_table = TABLE("Measured", struct measured, measured_fields);
struct texted {
    struct list texts;
};
static const struct field texted_fields[] = {FIELD_TEXTS(struct texted, texts, "texts")};
static const struct table texted_table = TABLE("Texted", struct texted, texted_fields);

PG_TEST(pg_rows, row__that_does_not_fit_its_table__is_refused_and_named)
{
    static const struct pg_statement misfits[] = {
        {"one_too_many", "SELECT 1, 2", &number_table},
        {"one_too_few", "SELECT 1", &priced_table},
        {"fraction", "SELECT 1.5", &number_table},
        {"half_money", "SELECT 5, NULL::text", &priced_table},
        {"long_currency", "SELECT 5, 'EURO'", &priced_table},
        {"number_as_bool", "SELECT 1", &flagged_table},
        {"infinite", "SELECT 'infinity'::timestamptz", &dated_table},
        {"word_as_real", "SELECT '1x'", &measured_table},
        {"array_as_texts", "SELECT '{a,b}'::text[]", &texted_table},
    };
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_result result = {.affected = 77};

    for (size_t i = 0; i < ARRAY_SIZE(misfits); i++) {
        int r = pg_query(p, &misfits[i], PG_NO_ARGS, &result);

        cr_assert_eq(r, ERR_PROTOCOL, "%s gave %d", misfits[i].name, r);
        cr_assert(strstr(error_text(), misfits[i].name), "%s", error_text());
        cr_assert_eq(result.affected, 77, "%s touched the result", misfits[i].name);
        error_clear();
    }
    pg_pool_free(p);
}

PG_TEST(pg_rows, result__of_many_and_of_no_rows__counts_them)
{
    static const struct pg_statement many = {
        "many", "SELECT generate_series(1, $1::int)", &number_table};
    struct pg_pool *p = pg_test_pool((struct pg_pool_config){0});
    struct pg_result result;

    OK(pg_query(p, &many, PG_ARGS(PG_I64(50000)), &result));
    cr_assert_eq(result.rows.len, 50000);
    cr_assert_eq(PG_ROW(result, struct number, 49999)->n, 50000);
    OK(pg_query(p, &many, PG_ARGS(PG_I64(0)), &result));
    cr_assert_eq(result.rows.len, 0);
    pg_pool_free(p);
}
