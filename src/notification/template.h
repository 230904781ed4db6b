#pragma once

/* Texts of mails: a small mustache over our field tables, so that the struct that an event's rule
 * fills is the model. Names are the JSON names of the table's fields.
 *
 *     {{name}}                    the value; HTML-escaped in HTML, one line in plain text
 *     {{#items}}...{{/items}}     once for each element of a list, inside of it (outer names stay
 *                                 visible); of anything else: when it is there
 *     {{^items}}...{{/items}}     when it is not there
 *
 * A section's tag alone on its line leaves no empty line behind. An unknown name is a mistake in
 * the template, not an empty text. */

#include "common/base/buf.h"
#include "common/json/table.h"

struct template
{
    const char *name; /* "order_confirmation" */
    const char *subject, *text, *html;
};
/* Generated from templates/, in the order of their names. */
extern const struct template templates[];
extern const size_t templates_count;

const struct template *template_find(const char *name); /* NULL: unknown */

enum template_format { TEMPLATE_PLAIN, TEMPLATE_HTML };

/* Appends to `out`. 0; ERR_INVALID: an unknown name, a value that can't be shown, tags that don't
 * match. Does not park. */
int template_render(struct buf *out, const char *source, enum template_format format,
    const struct table *t, const void *value);
