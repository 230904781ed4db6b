#pragma once

/* Line plots as inline SVG, for the report's page: two axes, a light grid, lines with a legend of
 * their own. Colours come from the page's style (classes c0 to c9). */

#include "common/base/buf.h"

#define PLOT_LINES_LIMIT 12

struct plot_line {
    const char *name;
    unsigned color; /* 0 to 9 */
    bool dashed, area;
    size_t count;
    const double *x, *y; /* a y below 0 is a gap */
};

enum plot_axis {
    PLOT_LINEAR,
    PLOT_LOG, /* y from `y_least` on */
};

struct plot {
    const char *title, *note; /* note: NULL, or a few words beside the title */
    const char *x_unit, *y_unit;
    enum plot_axis y_axis;
    double x_most, y_least; /* the x axis begins at 0 */
    /* Other ticks than round numbers for x: `ticks_count` of them. */
    size_t ticks_count;
    const double *ticks;
    const char *const *tick_names;
    size_t lines_count;
    struct plot_line lines[PLOT_LINES_LIMIT];
};

void plot_write(const struct plot *p, struct buf *out);
void html_put(struct buf *out, const char *text); /* escaped */
