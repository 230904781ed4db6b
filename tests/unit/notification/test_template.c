#include <criterion/criterion.h>

#include "common/base/error.h"
#include "notification/template.h"

struct child {
    const char *name;
    int64_t count;
    struct list parts; /* struct child */
};
extern const struct table child_table;
static const struct field child_fields[] = {
    FIELD_TEXT(struct child, name, "name"),
    FIELD_I64(struct child, count, "count"),
    FIELD_LIST(struct child, parts, "parts", child_table),
};
const struct table child_table = TABLE("Child", struct child, child_fields);

struct model {
    const char *title, *nothing;
    bool yes, no;
    int64_t at;
    struct money price, free;
    struct list items, none; /* struct child */
};
static const struct field model_fields[] = {
    FIELD_TEXT(struct model, title, "title"),
    FIELD_TEXT(struct model, nothing, "nothing"),
    FIELD_BOOL(struct model, yes, "yes"),
    FIELD_BOOL(struct model, no, "no"),
    FIELD_TIME(struct model, at, "at"),
    FIELD_MONEY(struct model, price, "price"),
    FIELD_MONEY(struct model, free, "free"),
    FIELD_LIST(struct model, items, "items", child_table),
    FIELD_LIST(struct model, none, "none", child_table),
};
static const struct table model_table = TABLE("Model", struct model, model_fields);

static struct child parts[] = {{.name = "spout"}, {.name = "lid"}};
static struct child items[] = {
    {.name = "tea", .count = 2}, {.name = "pot", .count = 1, .parts = {2, parts}}};
static const struct model model = {.title = "A <b> & \"c\" 'd'\r\ne",
    .yes = true,
    .at = 0,
    .price = {1234, "USD"},
    .items = {2, items}};

static void renders(const char *source, enum template_format format, const char *wanted)
{
    struct buf out = {0};
    cr_assert_eq(template_render(&out, source, format, &model_table, &model), 0, "%s", source);
    cr_assert_str_eq(buf_span(&out).ptr, wanted);
    buf_deinit(&out);
}

static void fails(const char *source)
{
    struct buf out = {0};
    cr_assert_eq(template_render(&out, source, TEMPLATE_PLAIN, &model_table, &model), ERR_INVALID,
        "%s", source);
    buf_deinit(&out);
}

Test(template, value__in_html__is_escaped)
{
    renders("{{title}}", TEMPLATE_HTML, "A &lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;  e");
}

Test(template, value__in_plain_text__is_one_line_and_itself)
{
    renders("{{title}}.", TEMPLATE_PLAIN, "A <b> & \"c\" 'd'  e.");
}

Test(template, text_without_tags__is_itself)
{
    renders("a { b } } c", TEMPLATE_HTML, "a { b } } c");
    renders("", TEMPLATE_PLAIN, "");
}

Test(template, money__is_shown_for_people)
{
    renders("{{price}}", TEMPLATE_PLAIN, "12.34 USD");
}

Test(template, value__that_is_absent__is_empty)
{
    renders("<{{nothing}}>", TEMPLATE_PLAIN, "<>");
}

Test(template, section__over_a_list__repeats_and_sees_the_outer_names)
{
    renders("{{#items}}{{count}} {{name}} ({{price}}); {{/items}}", TEMPLATE_PLAIN,
        "2 tea (12.34 USD); 1 pot (12.34 USD); ");
}

Test(template, sections__of_one_name_nested__belong_to_their_own_end)
{
    renders("{{#items}}{{name}}[{{#parts}}{{name}}{{#parts}}!{{/parts}} {{/parts}}]{{/items}}",
        TEMPLATE_PLAIN, "tea[]pot[spout lid ]");
}

Test(template, section__of_what_is_not_there__is_left_out)
{
    renders("a{{#nothing}}b{{/nothing}}{{#no}}c{{/no}}{{#none}}d{{/none}}{{#free}}e{{/free}}"
            "{{#at}}f{{/at}}g",
        TEMPLATE_PLAIN, "ag");
    renders("{{#title}}a{{/title}}{{#yes}}b{{/yes}}{{#price}}c{{/price}}", TEMPLATE_PLAIN, "abc");
}

Test(template, inverted_section__is_there_when_the_thing_is_not)
{
    renders("{{^none}}empty{{/none}}{{^items}}never{{/items}}", TEMPLATE_PLAIN, "empty");
}

Test(template, section_tags__alone_on_their_lines__leave_no_lines)
{
    renders("a\n{{#items}}\n- {{name}}\n{{/items}}\nb\n  {{#no}}  \nx\n  {{/no}}\nc",
        TEMPLATE_PLAIN, "a\n- tea\n- pot\nb\nc");
}

Test(template, section_tags__beside_text__keep_their_lines)
{
    renders("a{{#yes}}\nb{{/yes}}\nc {{#yes}}\nd {{/yes}}\n", TEMPLATE_PLAIN, "a\nb\nc \nd \n");
}

Test(template, unknown_name__is_an_error)
{
    fails("{{what}}");
    fails("{{#what}}{{/what}}");
    fails("{{}}");
    fails("{{count}}"); /* of an element, outside of the list */
}

Test(template, tags_that_do_not_match__are_an_error)
{
    fails("{{title");
    fails("{{#items}}");
    fails("{{/items}}");
    fails("{{#items}}{{/none}}");
    fails("{{#items}}{{#yes}}{{/items}}{{/yes}}");
}

Test(template, list_or_truth__as_a_value__is_an_error)
{
    fails("{{items}}");
    fails("{{yes}}");
}
