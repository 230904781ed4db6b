/* The longest common subsequence by the textbook's table, after the common head and tail have been
 * taken off: an edited event differs in a few lines. Texts whose differing parts are too big for
 * the table are shown as all gone, all new. */

#include "ctl/diff.h"

#include "common/base/mem.h"

#define CONTEXT     3
#define TABLE_LIMIT (4 * 1024 * 1024)

struct lines {
    struct span *at;
    size_t count;
};

static struct lines lines_of(struct span text)
{
    struct lines l = {.at = mem_array(text.len + 1, sizeof(struct span))};
    struct span rest = text, piece;
    while (rest.len > 0 && span_cut(&rest, '\n', &piece))
        l.at[l.count++] = piece;
    return l;
}

struct change {
    char kind;
    struct span line;
};
struct script {
    struct change *at;
    size_t count;
};

static void script_add(struct script *s, char kind, struct span line)
{
    s->at[s->count++] = (struct change){kind, line};
}

static void differ(const struct span *a, size_t n, const struct span *b, size_t m, struct script *s)
{
    size_t width = m + 1, i = 0, j = 0;
    bool fits = (n + 1) * width <= TABLE_LIMIT;
    uint32_t *common = fits ? mem_array((n + 1) * width, sizeof(*common)) : NULL;
    for (size_t x = fits ? n : 0; x-- > 0;)
        for (size_t y = m; y-- > 0;) {
            uint32_t down = common[(x + 1) * width + y], right = common[x * width + y + 1];
            common[x * width + y] = span_equal(a[x], b[y]) ? common[(x + 1) * width + y + 1] + 1
                                    : down > right         ? down
                                                           : right;
        }
    while (i < n || j < m) {
        if (fits && i < n && j < m && span_equal(a[i], b[j])) {
            script_add(s, ' ', a[i++]);
            j++;
        } else if (i < n &&
                   (j == m || !fits || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
            script_add(s, '-', a[i++]);
        } else {
            script_add(s, '+', b[j++]);
        }
    }
    mem_free(common);
}

static bool near_change(const struct script *s, size_t at)
{
    size_t from = at > CONTEXT ? at - CONTEXT : 0;
    for (size_t i = from; i <= at + CONTEXT && i < s->count; i++)
        if (s->at[i].kind != ' ')
            return true;
    return false;
}

static void script_print(const struct script *s, struct buf *out)
{
    bool gap = false;
    for (size_t i = 0; i < s->count; i++) {
        if (!near_change(s, i)) {
            gap = true;
            continue;
        }
        if (gap)
            buf_put_text(out, "  ...\n");
        gap = false;
        buf_printf(out, "%c %.*s\n", s->at[i].kind, SPAN_ARG(s->at[i].line));
    }
}

bool diff_lines(struct span before, struct span after, struct buf *out)
{
    if (span_equal(before, after))
        return false;
    struct lines a = lines_of(before), b = lines_of(after);
    struct script s = {.at = mem_array(a.count + b.count + 1, sizeof(struct change))};
    size_t head = 0, tail = 0;
    while (head < a.count && head < b.count && span_equal(a.at[head], b.at[head]))
        script_add(&s, ' ', a.at[head++]);
    while (tail < a.count - head && tail < b.count - head &&
           span_equal(a.at[a.count - 1 - tail], b.at[b.count - 1 - tail]))
        tail++;
    differ(a.at + head, a.count - head - tail, b.at + head, b.count - head - tail, &s);
    for (size_t i = a.count - tail; i < a.count; i++)
        script_add(&s, ' ', a.at[i]);
    script_print(&s, out);
    mem_free(a.at);
    mem_free(b.at);
    mem_free(s.at);
    return true;
}
