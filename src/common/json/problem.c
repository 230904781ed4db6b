#include "common/json/problem.h"

static const struct status {
    int status;
    const char *title, *code;
} statuses[] = {
    {400, "Bad Request", "bad_request"},
    {401, "Unauthorized", "unauthorized"},
    {402, "Payment Required", "payment_required"},
    {403, "Forbidden", "forbidden"},
    {404, "Not Found", "not_found"},
    {405, "Method Not Allowed", "method_not_allowed"},
    {406, "Not Acceptable", "not_acceptable"},
    {408, "Request Timeout", "request_timeout"},
    {409, "Conflict", "conflict"},
    {410, "Gone", "gone"},
    {411, "Length Required", "length_required"},
    {412, "Precondition Failed", "precondition_failed"},
    {413, "Content Too Large", "content_too_large"},
    {414, "URI Too Long", "uri_too_long"},
    {415, "Unsupported Media Type", "unsupported_media_type"},
    {417, "Expectation Failed", "expectation_failed"},
    {421, "Misdirected Request", "misdirected_request"},
    {422, "Unprocessable Content", "unprocessable_content"},
    {426, "Upgrade Required", "upgrade_required"},
    {428, "Precondition Required", "precondition_required"},
    {429, "Too Many Requests", "too_many_requests"},
    {431, "Request Header Fields Too Large", "request_header_fields_too_large"},
    {500, "Internal Server Error", "internal_server_error"},
    {501, "Not Implemented", "not_implemented"},
    {502, "Bad Gateway", "bad_gateway"},
    {503, "Service Unavailable", "service_unavailable"},
    {504, "Gateway Timeout", "gateway_timeout"},
    {505, "HTTP Version Not Supported", "http_version_not_supported"},
    {507, "Insufficient Storage", "insufficient_storage"},
};

/* A status without a row of its own is known by its class (RFC 9110 §15). */
static const struct status *status_find(int status)
{
    static const struct status client = {400, "Client Error", "client_error"};
    static const struct status server = {500, "Server Error", "server_error"};

    for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
        if (statuses[i].status == status)
            return &statuses[i];
    return status < 500 ? &client : &server;
}

const char *problem_status_title(int status)
{
    return status_find(status)->title;
}

const char *problem_status_code(int status)
{
    return status_find(status)->code;
}

static void errors_put(struct json_writer *w, const struct json_errors *errors)
{
    json_key(w, "errors");
    json_array_begin(w);
    for (size_t i = 0; i < errors->count; i++) {
        json_object_begin(w);
        json_put_text(w, "pointer", errors->at[i].pointer);
        json_put_text(w, "detail", errors->at[i].detail);
        json_object_end(w);
    }
    json_array_end(w);
}

static void type_put(struct json_writer *w, const char *code)
{
    struct buf type = {0};
    buf_put_text(&type, PROBLEM_TYPE_BASE);
    buf_put_text(&type, code);
    json_key(w, "type");
    json_span(w, buf_span(&type));
    buf_deinit(&type);
}

void problem_write(struct buf *out, const struct problem *p)
{
    struct json_writer w = json_writer_on(out);
    const char *code = p->code ? p->code : problem_status_code(p->status);

    json_object_begin(&w);
    type_put(&w, code);
    json_put_text(&w, "title", p->title ? p->title : problem_status_title(p->status));
    json_put_i64(&w, "status", p->status);
    if (p->detail)
        json_put_text(&w, "detail", p->detail);
    json_put_text(&w, "code", code);
    if (p->correlation_id)
        json_put_text(&w, "correlationId", p->correlation_id);
    if (p->errors && p->errors->count > 0)
        errors_put(&w, p->errors);
    if (p->extensions.len > 0) {
        buf_put_char(out, ',');
        buf_put_span(out, p->extensions);
    }
    json_object_end(&w);
}
