#pragma once

/* A postal address, as shoppers give it to cart and order and as auth keeps it. */

#include "common/json/table.h"

struct address {
    const char *name, *line1, *line2, *city, *region, *postal_code, *country;
};
extern const struct table address_table;
