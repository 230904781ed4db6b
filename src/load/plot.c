#include "load/plot.h"

#include <math.h>

#define WIDTH  720.0
#define HEIGHT 290.0
#define LEFT   62.0
#define RIGHT  26.0
#define TOP    12.0
#define BOTTOM 42.0
#define FEW    24 /* points: each gets a dot */

void html_put(struct buf *out, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            buf_put_text(out, "&amp;");
            break;
        case '<':
            buf_put_text(out, "&lt;");
            break;
        case '>':
            buf_put_text(out, "&gt;");
            break;
        case '"':
            buf_put_text(out, "&quot;");
            break;
        default:
            buf_put_char(out, *text);
        }
    }
}

/* ---- scales ---- */

struct scale {
    bool log;
    double least, most;
};

static double place(const struct scale *s, double value)
{
    if (!s->log)
        return (value - s->least) / (s->most - s->least);
    return log(fmax(value, s->least) / s->least) / log(s->most / s->least);
}

static double place_x(const struct plot *p, double x)
{
    return LEFT + x / p->x_most * (WIDTH - LEFT - RIGHT);
}

static double place_y(const struct scale *s, double y)
{
    return HEIGHT - BOTTOM - place(s, y) * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, for about `wanted` steps. */
static double round_step(double most, double wanted)
{
    double raw = most / wanted, power = pow(10, floor(log10(raw)));
    double part = raw / power;
    return (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10) * power;
}

static struct scale scale_of(const struct plot *p)
{
    double most = 0, least = INFINITY;
    for (size_t i = 0; i < p->lines_count; i++)
        for (size_t k = 0; k < p->lines[i].count; k++) {
            most = fmax(most, p->lines[i].y[k]);
            if (p->lines[i].y[k] > 0)
                least = fmin(least, p->lines[i].y[k]);
        }
    if (p->y_axis == PLOT_LOG) {
        double from = p->y_least, to = fmax(most, from * 10);
        if (least > from && least < INFINITY)
            from = pow(10, floor(log10(least)));
        /* the next of 1, 2, 5 times a power of ten */
        double power = pow(10, floor(log10(to)));
        to = (to <= power ? 1 : to <= 2 * power ? 2 : to <= 5 * power ? 5 : 10) * power;
        return (struct scale){true, from, fmax(to, from * 10)};
    }
    double step = round_step(most > 0 ? most : 1, 4);
    return (struct scale){false, 0, ceil((most > 0 ? most * 1.02 : 1) / step) * step};
}

/* ---- axes ---- */

static void number_put(struct buf *out, double value)
{
    if (value >= 10000)
        buf_printf(out, "%gk", value / 1000);
    else
        buf_printf(out, "%g", value);
}

static void y_tick(const struct scale *s, double value, struct buf *out)
{
    double y = place_y(s, value);
    buf_printf(out, "<path class=grid d=\"M%.0f %.1fH%.0f\"/><text class=y x=\"%.0f\" y=\"%.1f\">",
        LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 5);
    number_put(out, value);
    buf_put_text(out, "</text>");
}

static void y_axis(const struct scale *s, struct buf *out)
{
    static const double parts[] = {1, 2, 5};
    if (!s->log) {
        double step = round_step(s->most, 4);
        for (int i = 0; i * step <= s->most * 1.0001; i++)
            y_tick(s, i * step, out);
        return;
    }
    bool wide = s->most / s->least > 1000; /* then whole powers only */
    for (double power = s->least; power <= s->most * 1.0001; power *= 10)
        for (size_t i = 0; i < (wide ? 1 : ARRAY_SIZE(parts)); i++)
            if (power * parts[i] <= s->most * 1.0001)
                y_tick(s, power * parts[i], out);
}

static void x_tick(const struct plot *p, double x, const char *name, struct buf *out)
{
    buf_printf(out, "<text class=x x=\"%.1f\" y=\"%.0f\">", place_x(p, x), HEIGHT - BOTTOM + 19);
    if (name)
        html_put(out, name);
    else
        number_put(out, x);
    buf_put_text(out, "</text>");
}

static void x_axis(const struct plot *p, struct buf *out)
{
    for (size_t i = 0; i < p->ticks_count; i++) {
        buf_printf(out, "<path class=grid d=\"M%.1f %.0fV%.0f\"/>", place_x(p, p->ticks[i]), TOP,
            HEIGHT - BOTTOM);
        x_tick(p, p->ticks[i], p->tick_names[i], out);
    }
    double step = round_step(p->x_most, 8);
    for (int i = 0; p->ticks_count == 0 && i * step <= p->x_most * 1.0001; i++)
        x_tick(p, i * step, NULL, out);
    buf_printf(out, "<text class=x x=\"%.0f\" y=\"%.0f\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4);
    html_put(out, p->x_unit);
    buf_put_text(out, "</text>");
}

/* ---- lines ---- */

static void line_write(
    const struct plot *p, const struct scale *s, const struct plot_line *l, struct buf *out)
{
    bool pen_down = false;
    double from_x = 0, last_x = 0;
    if (l->count == 0)
        return;
    buf_printf(out, "<path class=\"line c%u%s\" d=\"", l->color, l->dashed ? " dashed" : "");
    for (size_t i = 0; i < l->count; i++) {
        if (l->y[i] < 0) {
            pen_down = false;
            continue;
        }
        last_x = place_x(p, l->x[i]);
        if (!pen_down && from_x <= 0)
            from_x = last_x;
        buf_printf(out, "%s%.1f %.1f", pen_down ? "L" : "M", last_x, place_y(s, l->y[i]));
        pen_down = true;
    }
    buf_put_text(out, "\"/>");
    for (size_t i = 0; l->count <= FEW && i < l->count; i++)
        if (l->y[i] >= 0)
            buf_printf(out, "<circle class=\"dot c%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.2\"/>",
                l->color, place_x(p, l->x[i]), place_y(s, l->y[i]));
    if (!l->area || last_x <= from_x)
        return;
    buf_printf(out, "<path class=\"area c%u\" d=\"M%.1f %.1f", l->color, from_x, HEIGHT - BOTTOM);
    for (size_t i = 0; i < l->count; i++)
        buf_printf(out, "L%.1f %.1f", place_x(p, l->x[i]), place_y(s, fmax(l->y[i], 0)));
    buf_printf(out, "V%.1fZ\"/>", HEIGHT - BOTTOM);
}

static void legend_write(const struct plot *p, struct buf *out)
{
    buf_put_text(out, "<p class=legend>");
    for (size_t i = 0; i < p->lines_count; i++) {
        const struct plot_line *l = &p->lines[i];
        buf_printf(out,
            "<span><svg viewBox=\"0 0 22 6\"><path class=\"line c%u%s\" d=\"M0 3H22\"/></svg>",
            l->color, l->dashed ? " dashed" : "");
        html_put(out, l->name);
        buf_put_text(out, "</span>");
    }
    buf_put_text(out, "</p>");
}

void plot_write(const struct plot *p, struct buf *out)
{
    struct scale s = scale_of(p);
    buf_put_text(out, "<figure><figcaption>");
    html_put(out, p->title);
    buf_put_text(out, " <small>");
    html_put(out, p->y_unit);
    if (p->note) {
        buf_put_text(out, ", ");
        html_put(out, p->note);
    }
    buf_put_text(out, "</small></figcaption>");
    buf_printf(out, "<svg viewBox=\"0 0 %.0f %.0f\" role=img aria-label=\"", WIDTH, HEIGHT);
    html_put(out, p->title);
    buf_put_text(out, "\">");
    y_axis(&s, out);
    x_axis(p, out);
    for (size_t i = 0; i < p->lines_count; i++)
        line_write(p, &s, &p->lines[i], out);
    buf_put_text(out, "</svg>");
    legend_write(p, out);
    buf_put_text(out, "</figure>\n");
}
