#include "fixture.h"

static struct buf schema_of(const struct table *t)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_schema(&w, t);
    cr_assert_eq(w.depth, 0);
    return out;
}

Test(schema, small_table__is_written_whole)
{
    struct buf out = schema_of(&item_table);
    cr_assert_str_eq(out.ptr,
        "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\"title\":\"Item\","
        "\"type\":\"object\",\"properties\":{\"sku\":{\"type\":\"string\",\"maxLength\":4096,"
        "\"pattern\":\"^[A-Za-z0-9._-]{1,64}$\"},\"quantity\":{\"type\":\"integer\","
        "\"format\":\"int64\",\"minimum\":1,\"maximum\":999}},\"required\":[\"sku\",\"quantity\"]"
        "}");
    buf_deinit(&out);
}

Test(schema, every_kind__has_its_words)
{
    static const char *const parts[] = {
        "\"text\":{\"description\":\"free text\",\"type\":[\"string\",\"null\"]",
        "\"id\":{\"type\":[\"string\",\"null\"],\"format\":\"uuid\"}",
        "\"enum\":[\"red\",\"green\",null]",
        "\"fallback\":{\"type\":[\"integer\",\"null\"],\"format\":\"int64\",\"default\":7}",
        "\"at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"}",
        "\"flagOn\":{\"type\":[\"boolean\",\"null\"],\"default\":true}",
        "\"required\":[\"amount\",\"currency\"]",
        "\"one\":{\"title\":\"Item\",\"type\":[\"object\",\"null\"]",
        "\"items\":{\"type\":[\"array\",\"null\"],\"minItems\":0,\"maxItems\":20,"
        "\"items\":{\"title\":\"Item\",\"type\":\"object\"",
        "\"tags\":{\"type\":[\"array\",\"null\"],\"minItems\":0,\"maxItems\":20,"
        "\"items\":{\"type\":\"string\"",
        "\"raw\":{}",
        "\"score\":{\"type\":[\"number\",\"null\"]}",
    };
    struct buf out = schema_of(&all_table);
    for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
        cr_assert_not_null(strstr(out.ptr, parts[i]), "%s in %s", parts[i], out.ptr);
    cr_assert_null(strstr(out.ptr, "hidden"));
    buf_deinit(&out);
}

Test(schema, embedded_in_a_document__names_no_dialect)
{
    struct buf out = {0};
    struct json_writer w = json_writer_on(&out);
    json_array_begin(&w);
    json_schema(&w, &item_table);
    json_array_end(&w);
    cr_assert_null(strstr(out.ptr, "$schema"));
    buf_deinit(&out);
}

struct node {
    struct node *next;
};
extern const struct table node_table;
static const struct field node_fields[] = {
    FIELD_OBJECT(struct node, next, "next", node_table),
};
const struct table node_table = TABLE("Node", struct node, node_fields);

Test(schema, table_that_holds_itself__ends)
{
    struct buf out = schema_of(&node_table);
    cr_assert_lt(out.len, 2000);
    buf_deinit(&out);
}
