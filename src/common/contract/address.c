#include "common/contract/address.h"

static const struct field address_fields[] = {
    FIELD_TEXT(
        struct address, name, "name", .required = true, .min = 1, .max = 200, .pattern = "name"),
    FIELD_TEXT(
        struct address, line1, "line1", .required = true, .min = 1, .max = 200, .pattern = "line"),
    FIELD_TEXT(struct address, line2, "line2", .max = 200, .pattern = "line", .omit_empty = true),
    FIELD_TEXT(
        struct address, city, "city", .required = true, .min = 1, .max = 100, .pattern = "line"),
    FIELD_TEXT(struct address, region, "region", .max = 100, .pattern = "line", .omit_empty = true),
    FIELD_TEXT(struct address, postal_code, "postalCode", .max = 20, .pattern = "line",
        .omit_empty = true),
    FIELD_TEXT(struct address, country, "country", .required = true, .pattern = "country"),
};
const struct table address_table = TABLE("Address", struct address, address_fields);
