#pragma once

/* Raw requests and the verdict each must get, however its bytes are split: read by the judge's
 * test, by the server's test through a real socket, and written out as the fuzz target's corpus. */

#include "common/base/span.h"

struct raw_request {
    const char *name;
    int status; /* 0 passes */
    struct span bytes;
};

#define RAW(name_, status_, text)                                                                  \
    {                                                                                              \
        .name = (name_), .status = (status_), .bytes = SPAN(text)                                  \
    }
#define H           "Host: a\r\n"
#define GET(line)   "GET / HTTP/1.1\r\n" H line "\r\n"
#define POST(lines) "POST / HTTP/1.1\r\n" H lines "\r\n"

static const struct raw_request raw_requests[] = {
    /* what passes */
    RAW("a plain GET", 0, GET("")),
    RAW("a HEAD", 0, "HEAD /a HTTP/1.1\r\n" H "\r\n"),
    RAW("a DELETE with a body", 0, "DELETE /a HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\n{}"),
    RAW("an OPTIONS of a path", 0, "OPTIONS /a HTTP/1.1\r\n" H "\r\n"),
    RAW("a POST with a body", 0, POST("Content-Length: 5\r\n") "hello"),
    RAW("a POST without a body", 0, POST("Content-Length: 0\r\n")),
    RAW("a PUT and a PATCH's length in zeros", 0,
        "PATCH / HTTP/1.1\r\n" H "content-length: 003\r\n\r\nabc"),
    RAW("HTTP/1.0 without Host", 0, "GET / HTTP/1.0\r\n\r\n"),
    RAW("one stray CRLF first", 0, "\r\n" GET("")),
    RAW("escapes in the path", 0, "GET /a%20b/%C3%A9/... HTTP/1.1\r\n" H "\r\n"),
    RAW("odd bytes in the query", 0, "GET /a/?q={x}|\"y\"&z=%zz/../?? HTTP/1.1\r\n" H "\r\n"),
    RAW("an empty value, a tab, obs-text", 0, GET("A:\r\nB:\tx\t\r\nC: \x80\xff\r\n")),
    RAW("an IPv6 host with port", 0, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"),
    RAW("an expectation of 100", 0, POST("Expect: 100-Continue\r\nContent-Length: 1\r\n") "x"),
    RAW("an upgrade that is ignored", 0, GET("Upgrade: h2c\r\nConnection: Upgrade\r\n")),
    RAW("JSON", 0, POST("Content-Type: application/json\r\nContent-Length: 2\r\n") "{}"),
    RAW("a form's type without a body", 0,
        POST("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n")),
    /* the request line */
    RAW("three empty lines first", 400, "\r\n\r\n" GET("")),
    RAW("HTTP/0.9", 400, "GET /\r\n\r\n"),
    RAW("no target", 400, "GET HTTP/1.1\r\n" H "\r\n"),
    RAW("two spaces", 400, "GET  / HTTP/1.1\r\n" H "\r\n"),
    RAW("a space at the end", 400, "GET / HTTP/1.1 \r\n" H "\r\n"),
    RAW("a tab instead of a space", 400, "GET\t/ HTTP/1.1\r\n" H "\r\n"),
    RAW("HTTP/2.0", 505, "GET / HTTP/2.0\r\n" H "\r\n"),
    RAW("HTTP/1.2", 505, "GET / HTTP/1.2\r\n" H "\r\n"),
    RAW("the preface of HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    RAW("HTTP/1.1 in lower case", 400, "GET / http/1.1\r\n" H "\r\n"),
    RAW("HTTP/1.10", 400, "GET / HTTP/1.10\r\n" H "\r\n"),
    RAW("an unknown method", 501, "BREW / HTTP/1.1\r\n" H "\r\n"),
    RAW("a method in lower case", 501, "get / HTTP/1.1\r\n" H "\r\n"),
    RAW("TRACE", 501, "TRACE / HTTP/1.1\r\n" H "\r\n"),
    RAW("CONNECT", 501, "CONNECT a:443 HTTP/1.1\r\n" H "\r\n"),
    RAW("a method without end", 501,
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    RAW("a method with a bad character", 400, "GE(T / HTTP/1.1\r\n" H "\r\n"),
    RAW("a TLS client", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    RAW("absolute-form", 400, "GET http://a/ HTTP/1.1\r\n" H "\r\n"),
    RAW("asterisk-form", 400, "OPTIONS * HTTP/1.1\r\n" H "\r\n"),
    RAW("a fragment", 400, "GET /a#b HTTP/1.1\r\n" H "\r\n"),
    RAW("a byte 0x80 in the target", 400, "GET /\x80 HTTP/1.1\r\n" H "\r\n"),
    RAW("a bad escape", 400, "GET /%zz HTTP/1.1\r\n" H "\r\n"),
    RAW("a cut escape", 400, "GET /a%2 HTTP/1.1\r\n" H "\r\n"),
    RAW("an encoded NUL", 400, "GET /a%00b HTTP/1.1\r\n" H "\r\n"),
    RAW("an encoded slash", 400, "GET /a%2fb HTTP/1.1\r\n" H "\r\n"),
    RAW("a path that is not UTF-8", 400, "GET /a%ffb HTTP/1.1\r\n" H "\r\n"),
    RAW("an overlong escape", 400, "GET /%c0%af HTTP/1.1\r\n" H "\r\n"),
    RAW("a cut UTF-8 sequence", 400, "GET /%e2%82/ HTTP/1.1\r\n" H "\r\n"),
    RAW("a dot segment", 400, "GET /a/./b HTTP/1.1\r\n" H "\r\n"),
    RAW("two dots", 400, "GET /a/../b HTTP/1.1\r\n" H "\r\n"),
    RAW("two dots at the end", 400, "GET /a/.. HTTP/1.1\r\n" H "\r\n"),
    RAW("encoded dots", 400, "GET /a/%2e%2E/b HTTP/1.1\r\n" H "\r\n"),
    RAW("an empty segment", 400, "GET //a HTTP/1.1\r\n" H "\r\n"),
    RAW("a raw brace in the path", 400, "GET /{a} HTTP/1.1\r\n" H "\r\n"),
    /* lines */
    RAW("bare LF", 400, "GET / HTTP/1.1\nHost: a\n\n"),
    RAW("bare LF in a field", 400, GET("A: b\nC: d\r\n")),
    RAW("bare CR", 400, GET("A: b\rC: d\r\n")),
    RAW("bare CR in the request line", 400, "GET / HTTP/1.1\r \r\n" H "\r\n"),
    RAW("a NUL in a value", 400, GET("A: b\0c\r\n")),
    RAW("an escape character in a value", 400, GET("A: \x1b[31m\r\n")),
    RAW("a DEL in a value", 400, GET("A: \x7f\r\n")),
    RAW("a folded line", 400, GET("A: b\r\n c\r\n")),
    RAW("a folded first line", 400, "GET / HTTP/1.1\r\n " H "\r\n"),
    RAW("a space before the colon", 400, POST("Content-Length : 5\r\n") "hello"),
    RAW("no colon", 400, GET("Accept\r\n")),
    RAW("an empty name", 400, GET(": b\r\n")),
    RAW("a name with a bracket", 400, GET("A[0]: b\r\n")),
    /* Host */
    RAW("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
    RAW("two Hosts", 400, GET("Host: a\r\n")),
    RAW("an empty Host", 400, "GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    RAW("a Host with a path", 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    RAW("a Host with user info", 400, "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    RAW("two hosts in one line", 400, "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    RAW("two Hosts in HTTP/1.0", 400, "GET / HTTP/1.0\r\n" H H "\r\n"),
    /* framing */
    RAW("chunked", 411, POST("Transfer-Encoding: chunked\r\n") "0\r\n\r\n"),
    RAW("chunked, no space", 411, POST("Transfer-Encoding:chunked\r\n") "0\r\n\r\n"),
    RAW("chunked and a space behind", 400, POST("Transfer-Encoding: chunked \r\n")),
    RAW("chunked behind a tab", 400, POST("Transfer-Encoding:\tchunked\r\n")),
    RAW("CHUNKED", 400, POST("Transfer-Encoding: CHUNKED\r\n")),
    RAW("xchunked", 400, POST("Transfer-Encoding: xchunked\r\n")),
    RAW("gzip, chunked", 400, POST("Transfer-Encoding: gzip, chunked\r\n")),
    RAW("chunked twice", 400, POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")),
    RAW("identity", 400, POST("Transfer-Encoding: identity\r\n")),
    RAW("an empty encoding", 400, POST("Transfer-Encoding:\r\n")),
    RAW("chunked in HTTP/1.0", 400, "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    RAW("chunked on a GET", 411, GET("Transfer-Encoding: chunked\r\n")),
    RAW("encoding, then length", 400,
        POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n") "hello"),
    RAW("length, then encoding", 400,
        POST("Content-Length: 5\r\ntransfer-encoding: chunked\r\n") "hello"),
    RAW("two different lengths", 400, POST("Content-Length: 5\r\nContent-Length: 6\r\n") "hello!"),
    RAW("two equal lengths", 400, POST("Content-Length: 5\r\nContent-Length: 5\r\n") "hello"),
    RAW("a list of lengths", 400, POST("Content-Length: 5, 5\r\n") "hello"),
    RAW("a signed length", 400, POST("Content-Length: +5\r\n") "hello"),
    RAW("a negative length", 400, POST("Content-Length: -5\r\n") "hello"),
    RAW("a hexadecimal length", 400, POST("Content-Length: 0x5\r\n") "hello"),
    RAW("a broken number", 400, POST("Content-Length: 5 5\r\n") "hello"),
    RAW("an empty length", 400, POST("Content-Length:\r\n")),
    RAW("a length that overflows", 413, POST("Content-Length: 99999999999999999999999\r\n")),
    RAW("a length of 2^64 + 5", 413, POST("Content-Length: 18446744073709551621\r\n") "hello"),
    RAW("a length over the limit", 413, POST("Content-Length: 65537\r\n")),
    RAW("a POST without length", 0, POST("")),
    RAW("a PUT without length", 0, "PUT / HTTP/1.1\r\n" H "\r\n"),
    RAW("a GET with a body", 400, GET("Content-Length: 5\r\n") "hello"),
    RAW("a HEAD with a body", 400, "HEAD / HTTP/1.1\r\n" H "Content-Length: 1\r\n\r\nx"),
    /* the rest */
    RAW("a form", 0,
        POST("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3\r\n") "a=b"),
    RAW("a form with a charset", 0,
        POST("Content-Type: Application/X-WWW-form-urlencoded ; charset=utf-8\r\n"
             "Content-Length: 3\r\n") "a=b"),
    RAW("a multipart form", 415,
        POST("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 3\r\n") "--x"),
    RAW("another expectation", 417, POST("Expect: a-miracle\r\nContent-Length: 1\r\n") "x"),
};

#undef H
#undef GET
#undef POST
