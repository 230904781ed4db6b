#include "common/net/door.h"

#include <assert.h>

/* The judge reads the head as a deterministic scanner over its bytes: whatever is wrong is refused
 * at the first byte that proves it, looking at no byte behind it. So the verdict is a function of
 * the bytes alone, and how they were split over reads cannot change it (tests and the fuzz target
 * hold it to that). Three kinds of check, in this order:
 *
 *   byte      control bytes, a CR or LF alone, an illegal byte in method or target, the limits
 *   line      when its CRLF is there: the request line, or one field line
 *   head      when the empty line is there: Host, framing, Expect, Content-Type, one with another
 *
 * Between calls only where we stand is remembered (`struct scan`, packed into the caller's size_t).
 * A head that came in one piece, as nearly all do, is read once and fills the result as it goes;
 * one that came in pieces is read once more when it is complete.
 *
 * It is stricter than RFC 9112 wherever leniency has smuggled requests: no obs-fold, no bare LF, no
 * absolute-form, no Transfer-Encoding at all (411 when it is plainly "chunked", 400 when it is a
 * trick), one Content-Length of digits, exactly one Host, no dot or empty path segments. */

#define FIELD_LINES_LIMIT HTTP_HEADERS_LIMIT
#define METHOD_LIMIT      32
#define TARGET_DONE       0xff /* scan.target once the target's end was seen */

struct scan {
    size_t at;     /* the next byte to look at */
    size_t line;   /* where the current line starts */
    size_t lines;  /* lines completed, the request line included */
    size_t target; /* where the target starts; 0: still in the method; or TARGET_DONE */
};

static_assert(sizeof(size_t) == 8, "the scan is packed into 64 bits");
static_assert(DOOR_HEAD_LIMIT < 1 << 16 && FIELD_LINES_LIMIT < 255, "the scan's fields fit");

static struct scan scan_unpack(size_t state)
{
    return (struct scan){
        .at = state & 0xffff,
        .line = state >> 16 & 0xffff,
        .lines = state >> 32 & 0xff,
        .target = state >> 40 & 0xff,
    };
}

static size_t scan_pack(struct scan s)
{
    return s.at | s.line << 16 | s.lines << 32 | s.target << 40;
}

struct judge {
    const char *bytes;
    struct scan scan;
    struct door_head *head;
    bool filling; /* this run saw the head from its first byte */
    int64_t body_limit;
    int status; /* of the refusal */
    const char *detail;
};

/* What a byte may be part of. */
enum {
    TOKEN = 1,  /* RFC 9110 tchar */
    PATH = 2,   /* pchar, '/' and '%' */
    TARGET = 4, /* any visible ASCII but '#': browsers send some of it unescaped in the query */
    HOST = 8,   /* uri-host and port */
};

static const unsigned char classes[256] = {
    ['!'] = TOKEN | PATH | HOST | TARGET,
    ['"'] = TARGET,
    ['#'] = TOKEN,
    ['$'] = TOKEN | PATH | HOST | TARGET,
    ['%'] = TOKEN | PATH | HOST | TARGET,
    ['&'] = TOKEN | PATH | HOST | TARGET,
    ['\''] = TOKEN | PATH | HOST | TARGET,
    ['('] = PATH | HOST | TARGET,
    [')'] = PATH | HOST | TARGET,
    ['*'] = TOKEN | PATH | HOST | TARGET,
    ['+'] = TOKEN | PATH | HOST | TARGET,
    [','] = PATH | TARGET,
    ['-'] = TOKEN | PATH | HOST | TARGET,
    ['.'] = TOKEN | PATH | HOST | TARGET,
    ['/'] = PATH | TARGET,
    ['0' ... '9'] = TOKEN | PATH | HOST | TARGET,
    [':'] = PATH | HOST | TARGET,
    [';'] = PATH | HOST | TARGET,
    ['<'] = TARGET,
    ['='] = PATH | HOST | TARGET,
    ['>'] = TARGET,
    ['?'] = TARGET,
    ['@'] = PATH | TARGET,
    ['A' ... 'Z'] = TOKEN | PATH | HOST | TARGET,
    ['['] = HOST | TARGET,
    ['\\'] = TARGET,
    [']'] = HOST | TARGET,
    ['^'] = TOKEN | TARGET,
    ['_'] = TOKEN | PATH | HOST | TARGET,
    ['`'] = TOKEN | TARGET,
    ['a' ... 'z'] = TOKEN | PATH | HOST | TARGET,
    ['{'] = TARGET,
    ['|'] = TOKEN | TARGET,
    ['}'] = TARGET,
    ['~'] = TOKEN | PATH | HOST | TARGET,
};

static inline bool is(char c, unsigned class)
{
    return classes[(unsigned char)c] & class;
}

static enum door_verdict refuse(struct judge *j, int status, const char *detail)
{
    j->status = status;
    j->detail = detail;
    return DOOR_REFUSE;
}

/* ---- the request line ------------------------------------------------------------------------ */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One step of a strict UTF-8 reader (RFC 3629): `*more` continuation bytes are due, the first of
 * them between `*low` and `*high`. */
struct utf8 {
    unsigned more;
    unsigned char low, high;
};

static bool utf8_step(struct utf8 *u, unsigned char c)
{
    if (u->more > 0) {
        if (c < u->low || c > u->high)
            return false;
        *u = (struct utf8){u->more - 1, 0x80, 0xbf};
        return true;
    }
    if (c < 0x80)
        return true;
    if (c < 0xc2 || c > 0xf4)
        return false;
    *u = (struct utf8){1 + (c >= 0xe0) + (c >= 0xf0), 0x80, 0xbf};
    if (c == 0xe0)
        u->low = 0xa0; /* overlong */
    if (c == 0xed)
        u->high = 0x9f; /* surrogates */
    if (c == 0xf0)
        u->low = 0x90; /* overlong */
    if (c == 0xf4)
        u->high = 0x8f; /* beyond U+10FFFF */
    return true;
}

/* NULL, or what is wrong with the path. Escapes are decoded here only to be looked at. */
static const char *path_fault(struct span path)
{
    struct utf8 utf8 = {0};
    size_t len = 0, dots = 0; /* of the segment so far */

    for (size_t i = 1; i <= path.len; i++) {
        if (i == path.len || path.ptr[i] == '/') {
            if (len == 0 && i < path.len)
                return "The path has an empty segment.";
            if (len > 0 && len <= 2 && len == dots)
                return "The path has a dot segment.";
            if (utf8.more > 0)
                return "The path is not UTF-8.";
            len = dots = 0;
            continue;
        }
        unsigned char c = (unsigned char)path.ptr[i];
        if (!is(path.ptr[i], PATH))
            return "The path has a character that must be percent-encoded.";
        if (c == '%') {
            int high = path.len - i > 2 ? hex_value(path.ptr[i + 1]) : -1;
            int low = path.len - i > 2 ? hex_value(path.ptr[i + 2]) : -1;
            if (high < 0 || low < 0)
                return "The path has a bad percent-encoding.";
            c = (unsigned char)(high << 4 | low);
            i += 2;
            if (c < 0x20 || c == 0x7f || c == '/')
                return "The path has an encoded slash or control character.";
        }
        if (!utf8_step(&utf8, c))
            return "The path is not UTF-8.";
        len++;
        dots += c == '.';
    }
    return NULL;
}

static enum door_verdict judge_version(struct judge *j, struct span version)
{
    bool formed = version.len == 8 && memcmp(version.ptr, "HTTP/", 5) == 0 &&
                  version.ptr[5] >= '0' && version.ptr[5] <= '9' && version.ptr[6] == '.' &&
                  version.ptr[7] >= '0' && version.ptr[7] <= '9';
    if (!formed)
        return refuse(j, 400, "The request line does not end in an HTTP version.");
    if (version.ptr[5] != '1' || version.ptr[7] > '1')
        return refuse(j, 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
    j->head->http11 = version.ptr[7] == '1';
    return DOOR_MORE;
}

static enum door_verdict judge_request_line(struct judge *j, struct span line)
{
    struct door_head *head = j->head;
    struct span rest = line, method, target;

    if (!span_cut(&rest, ' ', &method) || !span_cut(&rest, ' ', &target) || rest.ptr == NULL ||
        method.len == 0 || target.len == 0)
        return refuse(j, 400, "The request line is not a method, a target and a version.");
    if (judge_version(j, rest) == DOOR_REFUSE)
        return DOOR_REFUSE;
    if (!http_method_parse(method, &head->method))
        return refuse(j, 501, "This method is not known here.");
    if (target.ptr[0] != '/')
        return refuse(j, 400, "The request target must be a path.");

    head->target = rest = target;
    span_cut(&rest, '?', &head->path);
    head->query = rest.ptr ? rest : span_make(target.ptr + target.len, 0);
    const char *fault = path_fault(head->path);
    return fault ? refuse(j, 400, fault) : DOOR_MORE;
}

/* The bytes of the request line, until its CR. */
static enum door_verdict judge_request_bytes(struct judge *j, size_t end)
{
    struct scan *s = &j->scan;

    for (; s->at < end && j->bytes[s->at] != '\r'; s->at++) {
        char c = j->bytes[s->at];
        if (s->target == 0) {
            if (c == ' ')
                s->target = s->at + 1;
            else if (!is(c, TOKEN))
                return refuse(j, 400, "The method has an illegal character.");
            else if (s->at - s->line >= METHOD_LIMIT)
                return refuse(j, 501, "This method is not known here.");
        } else if (s->target != TARGET_DONE) {
            if (c == ' ')
                s->target = TARGET_DONE;
            else if (!is(c, TARGET))
                return refuse(j, 400, "The request target has an illegal character.");
            else if (s->at - s->target >= DOOR_URI_LIMIT)
                return refuse(j, 414, "The request target is longer than 4096 bytes.");
        } else if (!is(c, TARGET)) {
            return refuse(j, 400, "The request line has an illegal character.");
        }
    }
    return DOOR_MORE;
}

/* ---- field lines ----------------------------------------------------------------------------- */

static enum door_verdict judge_field_line(struct judge *j, struct span line)
{
    size_t name = 0;

    if (j->scan.lines > FIELD_LINES_LIMIT)
        return refuse(j, 431, "The request has more than 64 header lines.");
    if (line.ptr[0] == ' ' || line.ptr[0] == '\t')
        return refuse(j, 400, "A header line is folded.");
    while (name < line.len && is(line.ptr[name], TOKEN))
        name++;
    if (name == 0 || name == line.len || line.ptr[name] != ':')
        return refuse(j, 400, "A header line has no valid name before its colon.");
    if (j->filling)
        http_header_add(&j->head->headers, span_make(line.ptr, name),
            span_trim(span_make(line.ptr + name + 1, line.len - name - 1)));
    return DOOR_MORE;
}

/* ---- the whole head -------------------------------------------------------------------------- */

/* What the fields say about framing, gathered in one pass. */
struct fields {
    unsigned hosts, lengths, encodings;
    struct span host, length, encoding, expect;
    bool expects, multipart, close, keep_alive;
};

static void read_connection(struct fields *f, struct span value)
{
    struct span rest = value, option;

    while (span_cut(&rest, ',', &option)) {
        option = span_trim(option);
        f->close |= span_equal_nocase(option, SPAN("close"));
        f->keep_alive |= span_equal_nocase(option, SPAN("keep-alive"));
    }
}

static bool is_multipart(struct span content_type)
{
    struct span type = span_trim(content_type);
    return type.len >= 10 && span_equal_nocase(span_make(type.ptr, 10), SPAN("multipart/"));
}

static void read_field(struct fields *f, const struct http_header *field)
{
    struct span name = field->name, value = field->value;

    switch (name.len) { /* so that most fields cost one comparison at most */
    case 4:
        if (span_equal_nocase(name, SPAN("Host"))) {
            f->hosts++;
            f->host = value;
        }
        break;
    case 6:
        if (span_equal_nocase(name, SPAN("Expect"))) {
            f->expect = value;
            f->expects = true;
        }
        break;
    case 10:
        if (span_equal_nocase(name, SPAN("Connection")))
            read_connection(f, value);
        break;
    case 12:
        if (span_equal_nocase(name, SPAN("Content-Type")))
            f->multipart |= is_multipart(value);
        break;
    case 14:
        if (span_equal_nocase(name, SPAN("Content-Length"))) {
            f->lengths++;
            f->length = value;
        }
        break;
    case 17:
        if (span_equal_nocase(name, SPAN("Transfer-Encoding"))) {
            f->encodings++;
            f->encoding = value;
        }
        break;
    default:
        break;
    }
}

static bool host_valid(struct span host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (!is(host.ptr[i], HOST))
            return false;
    }
    return host.len > 0;
}

/* "chunked" as every honest client writes it: one coding, lower case, nothing around it. */
static bool plainly_chunked(const struct fields *f)
{
    const char *end = f->encoding.ptr + f->encoding.len;

    return f->encodings == 1 && span_equal(f->encoding, SPAN("chunked")) && *end == '\r' &&
           (f->encoding.ptr[-1] == ':' ||
               (f->encoding.ptr[-1] == ' ' && f->encoding.ptr[-2] == ':'));
}

static enum door_verdict judge_encoding(struct judge *j, const struct fields *f)
{
    if (f->lengths > 0)
        return refuse(j, 400, "Content-Length and Transfer-Encoding exclude each other.");
    if (!j->head->http11 || !plainly_chunked(f))
        return refuse(j, 400, "This Transfer-Encoding is not acceptable.");
    return refuse(j, 411, "Send the body with a Content-Length instead of a Transfer-Encoding.");
}

static enum door_verdict judge_length(struct judge *j, const struct fields *f)
{
    struct door_head *head = j->head;

    if (f->lengths > 1)
        return refuse(j, 400, "There is more than one Content-Length.");
    if (f->lengths == 0)
        return DOOR_MORE; /* no body (RFC 9112, 6.3) */
    for (size_t i = 0; i < f->length.len; i++) {
        if (f->length.ptr[i] < '0' || f->length.ptr[i] > '9')
            return refuse(j, 400, "The Content-Length is not a number.");
    }
    if (f->length.len == 0)
        return refuse(j, 400, "The Content-Length is empty.");
    if (!span_to_i64(f->length, &head->content_length) || head->content_length > j->body_limit)
        return refuse(j, 413, "The body is longer than is accepted here.");
    if (head->content_length > 0 && (head->method == HTTP_GET || head->method == HTTP_HEAD))
        return refuse(j, 400, "This method takes no body.");
    return DOOR_MORE;
}

static enum door_verdict judge_head(struct judge *j)
{
    struct door_head *head = j->head;
    struct fields f = {0};

    for (size_t i = 0; i < head->headers.count; i++)
        read_field(&f, &head->headers.at[i]);

    if (f.hosts > 1 || (f.hosts == 0 && head->http11))
        return refuse(j, 400, "There must be exactly one Host header.");
    if (f.hosts == 1 && !host_valid(f.host))
        return refuse(j, 400, "The Host header is not valid.");
    enum door_verdict v = f.encodings > 0 ? judge_encoding(j, &f) : judge_length(j, &f);
    if (v == DOOR_REFUSE)
        return v;
    if (f.expects && !span_equal_nocase(f.expect, SPAN("100-continue")))
        return refuse(j, 417, "Only the expectation 100-continue can be met.");
    if (f.multipart && head->content_length > 0)
        return refuse(j, 415, "Multipart bodies are not read here; send application/json.");

    head->expect_continue = f.expects && head->http11 && head->content_length > 0;
    head->keep_alive = !f.close && (head->http11 || f.keep_alive);
    head->size = j->scan.at;
    return DOOR_PASS;
}

/* ---- the scanner ----------------------------------------------------------------------------- */

/* The line that ends before the CRLF at `at`; steps over it. */
static enum door_verdict judge_line(struct judge *j)
{
    struct scan *s = &j->scan;
    struct span line = span_make(j->bytes + s->line, s->at - s->line);
    bool very_first = s->line == 0;
    enum door_verdict v = DOOR_MORE;

    s->at += 2;
    s->line = s->at;
    if (s->lines == 0) {
        if (line.len == 0 && very_first) /* one stray CRLF after a body is forgiven, as in 2.2 */
            return DOOR_MORE;
        v = judge_request_line(j, line);
    } else if (line.len == 0) {
        return DOOR_PASS;
    } else {
        v = judge_field_line(j, line);
    }
    s->lines++;
    return v;
}

/* Up to `end`: DOOR_PASS when the empty line was reached, not yet judged as a whole. */
static enum door_verdict judge_bytes(struct judge *j, size_t end)
{
    struct scan *s = &j->scan;

    while (s->at < end) {
        if (s->lines == 0 && judge_request_bytes(j, end) == DOOR_REFUSE)
            return DOOR_REFUSE;
        s->at += span_text_run(span_make(j->bytes + s->at, end - s->at));
        if (s->at == end)
            break;
        if (j->bytes[s->at] != '\r')
            return refuse(j, 400,
                j->bytes[s->at] == '\n' ? "A line ends in LF alone."
                                        : "The request has a control character.");
        if (s->at + 1 == end)
            break;
        if (j->bytes[s->at + 1] != '\n')
            return refuse(j, 400, "A CR stands alone.");
        enum door_verdict v = judge_line(j);
        if (v != DOOR_MORE)
            return v;
    }
    return DOOR_MORE;
}

enum door_verdict door_judge(struct span bytes, size_t *state, int64_t body_limit,
    struct door_head *ret_head, int *ret_status, const char **ret_detail)
{
    struct judge j = {
        .bytes = bytes.ptr,
        .scan = scan_unpack(*state),
        .head = ret_head,
        .filling = *state == 0,
        .body_limit = body_limit,
    };
    size_t end = bytes.len < DOOR_HEAD_LIMIT ? bytes.len : DOOR_HEAD_LIMIT;

    ret_head->headers.count = 0;
    ret_head->content_length = 0;
    enum door_verdict v = judge_bytes(&j, end);
    if (v == DOOR_PASS && !j.filling) {
        *state = 0;
        return door_judge(bytes, state, body_limit, ret_head, ret_status, ret_detail);
    }
    if (v == DOOR_PASS)
        v = judge_head(&j);
    else if (v == DOOR_MORE && bytes.len >= DOOR_HEAD_LIMIT)
        v = refuse(&j, 431, "The request's head is longer than 16 KiB.");

    if (v == DOOR_MORE)
        *state = scan_pack(j.scan);
    if (v == DOOR_REFUSE) {
        *ret_status = j.status;
        *ret_detail = j.detail;
    }
    return v;
}
