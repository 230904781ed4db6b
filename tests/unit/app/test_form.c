#include "common/app/form.h"

#include <criterion/criterion.h>

#include "common/base/buf.h"

struct sample {
    const char *name, *id;
};
static const struct field sample_fields[] = {
    FIELD_TEXT(struct sample, name, "full name", .required = true, .max = 8),
    FIELD_UUID(struct sample, id, "id"),
};
static const struct table sample_table = TABLE("Sample", struct sample, sample_fields);

static struct arena *arena;
static struct sample value;
static struct json_errors errors;

static void setup(void)
{
    arena = arena_new();
}

static void teardown(void)
{
    arena_free(arena);
}

TestSuite(form, .init = setup, .fini = teardown);

static int read(const char *body)
{
    return form_read(arena, span_of(body), &sample_table, &value, &errors);
}

#define assert_wrong(body, pointer_, detail_)                                                      \
    do {                                                                                           \
        cr_assert_eq(read(body), JSON_BAD, "%s", body);                                            \
        cr_assert_str_eq(errors.at[0].pointer, pointer_);                                          \
        cr_assert_str_eq(errors.at[0].detail, detail_);                                            \
    } while (0)

Test(form, read__names_and_values__are_decoded)
{
    cr_assert_eq(read("full+name=a%2Bb+c%26&id="), 0);
    cr_assert_str_eq(value.name, "a+b c&");
    cr_assert_null(value.id, "an empty value counts as absent");
    cr_assert_eq(read("&&full%20name=x=y&"), 0);
    cr_assert_str_eq(value.name, "x=y");
}

Test(form, read__fields_of_others__are_ignored_however_often)
{
    cr_assert_eq(read("x=1&x=2&y&=&full+name=a"), 0);
    cr_assert_str_eq(value.name, "a");
}

Test(form, read__what_does_not_fit__is_named)
{
    assert_wrong("", "/full name", "is required");
    assert_wrong("full+name=", "/full name", "is required");
    assert_wrong("full+name=a&full+name=a", "/full name", "is given twice");
    assert_wrong("full+name=%2", "/full name", "has a bad percent-escape");
    assert_wrong("full+name=%00", "/full name", "has a bad percent-escape");
    assert_wrong("full+name=a&%zz=1", "/", "has a bad percent-escape");
    cr_assert_eq(read("full+name=123456789"), JSON_BAD);
    cr_assert_eq(read("full+name=a&id=1"), JSON_BAD);
    cr_assert_eq(read("full+name=%ff"), JSON_BAD);
}

Test(form, type__with_parameters_and_in_capitals__fits)
{
    cr_assert(form_type_fits(SPAN("application/x-www-form-urlencoded")));
    cr_assert(form_type_fits(SPAN("Application/X-WWW-Form-Urlencoded ; charset=UTF-8")));
    cr_assert_not(form_type_fits(SPAN("application/json")));
    cr_assert_not(form_type_fits(SPAN("application/x-www-form-urlencoded2")));
    cr_assert_not(form_type_fits(SPAN("")));
    cr_assert_not(form_type_fits((struct span){0}));
}

Test(form, put__what_was_written__is_read_back)
{
    struct buf text = {0};
    form_put(&text, "full name", "a&b=c+%");
    form_put(&text, "id", NULL);
    cr_assert_str_eq(text.ptr, "full%20name=a%26b%3Dc%2B%25");
    form_put(&text, "id", "01900000-0000-7000-8000-000000000101");
    cr_assert_eq(read(text.ptr), 0);
    cr_assert_str_eq(value.name, "a&b=c+%");
    cr_assert_str_eq(value.id, "01900000-0000-7000-8000-000000000101");
    buf_deinit(&text);
}
