/* A reformatter over tokens: the text was checked by the real parser before, so quotes, brackets
 * and commas are all there is to know. Numbers and texts come out byte for byte as they went in. */

#include "common/json/pretty.h"

#include "common/json/reader.h"

struct layout {
    struct buf *out;
    bool mask, wide;
    unsigned depth;
    const char *at, *end;
};

static const struct table anything = {.name = "Anything", .size = 1};

bool text_is_object(struct span text)
{
    struct json_errors errors;
    char nothing;
    struct arena *a = arena_new();
    int r = json_read(a, text, &anything, JSON_LENIENT, &nothing, &errors);
    arena_free(a);
    return r == 0;
}

static void newline(struct layout *l)
{
    if (l->wide)
        buf_printf(l->out, "\n%*s", (int)(l->depth * 2), "");
}

static void skip_blanks(struct layout *l)
{
    while (l->at < l->end && strchr(" \t\r\n", *l->at))
        l->at++;
}

/* The token at hand: a string with its quotes, or a number, or a word. */
static struct span take_token(struct layout *l)
{
    const char *start = l->at;
    if (*l->at == '"') {
        for (l->at++; l->at < l->end && *l->at != '"'; l->at++)
            l->at += *l->at == '\\' && l->at + 1 < l->end;
        l->at += l->at < l->end;
    } else {
        while (l->at < l->end && !strchr(" \t\r\n,:]}", *l->at))
            l->at++;
    }
    return span_make(start, (size_t)(l->at - start));
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool contains_nocase(struct span s, const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= s.len; i++) {
        size_t k = 0;
        while (k < n && lower(s.ptr[i + k]) == word[k])
            k++;
        if (k == n)
            return true;
    }
    return false;
}

static bool names_secret(struct span key)
{
    static const char *const words[] = {
        "password", "secret", "token", "authorization", "cookie", "apikey", "api_key"};
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        if (contains_nocase(key, words[i]))
            return true;
    return false;
}

/* The reader has bounded the depth to JSON_DEPTH_LIMIT. */
static void put_value(struct layout *l);

static void put_members(struct layout *l, char close)
{
    char open = *l->at++;
    buf_put_char(l->out, open);
    skip_blanks(l);
    if (l->at < l->end && *l->at == close) {
        l->at++;
        buf_put_char(l->out, close);
        return;
    }
    l->depth++;
    while (l->at < l->end) {
        newline(l);
        put_value(l);
        skip_blanks(l);
        bool more = l->at < l->end && *l->at == ',';
        l->at += l->at < l->end;
        if (!more)
            break;
        buf_put_char(l->out, ',');
        skip_blanks(l);
    }
    l->depth--;
    newline(l);
    buf_put_char(l->out, close);
}

static void put_masked(struct layout *l)
{
    struct buf sink = {0}, *out = l->out;
    l->out = &sink;
    put_value(l);
    l->out = out;
    bool is_null = span_equal(buf_span(&sink), SPAN("null"));
    buf_put_text(out, is_null ? "null" : "\"***\"");
    buf_deinit(&sink);
}

/* A value, or a member with its name. */
static void put_value(struct layout *l)
{
    skip_blanks(l);
    if (l->at == l->end)
        return;
    if (*l->at == '{' || *l->at == '[') {
        put_members(l, *l->at == '{' ? '}' : ']');
        return;
    }
    struct span token = take_token(l);
    buf_put_span(l->out, token);
    skip_blanks(l);
    if (l->at == l->end || *l->at != ':')
        return;
    l->at++;
    buf_put_text(l->out, l->wide ? ": " : ":");
    skip_blanks(l);
    if (l->mask && names_secret(token))
        put_masked(l);
    else
        put_value(l);
}

static void lay_out(struct span json, bool mask, bool wide, struct buf *out)
{
    struct layout l = {
        .out = out, .mask = mask, .wide = wide, .at = json.ptr, .end = json.ptr + json.len};
    put_value(&l);
}

void json_pretty(struct span json, bool mask, struct buf *out)
{
    lay_out(json, mask, true, out);
    buf_put_char(out, '\n');
}

void json_compact(struct span json, bool mask, struct buf *out)
{
    lay_out(json, mask, false, out);
}
