/* --describe prints every table of the service as one JSON document: the tests compare it with the
 * broker's definitions, with the other services' tables and with the docs. /openapi.json is the
 * HTTP part of it in OpenAPI 3.1. */

#include "common/app/describe.h"

#include "common/app/dispatch.h"
#include "common/app/front.h"
#include "common/app/settings.h"
#include "common/app/token.h"

#include <stdio.h>

static void put_roles(struct json_writer *w, unsigned roles)
{
    static const unsigned all[] = {ROLE_USER, ROLE_SELLER, ROLE_ADMIN, ROLE_SERVICE};
    json_array_begin(w);
    if (roles & ROLE_ANYONE)
        json_text(w, "anyone");
    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (roles & all[i])
            json_text(w, role_name(all[i]));
    json_array_end(w);
}

static void put_table(struct json_writer *w, const char *name, const struct table *t)
{
    if (!t)
        return;
    json_key(w, name);
    json_schema(w, t);
}

static void put_routes(struct json_writer *w, const struct route *routes, size_t count)
{
    static const char *const idempotency[] = {"none", "accepted", "required", "required"};
    static const char *const match[] = {"none", "accepted", "required"};
    for (size_t i = 0; i < count; i++) {
        const struct route *r = &routes[i];
        json_object_begin(w);
        json_put_text(w, "method", http_method_name(r->method));
        json_put_text(w, "path", r->path);
        json_key(w, "roles");
        put_roles(w, r->roles);
        json_key(w, "others");
        put_roles(w, r->others);
        json_put_text(w, "class", admission_class_name(front_class(r)));
        json_put_text(w, "idempotencyKey", idempotency[r->idempotency]);
        json_put_text(w, "ifMatch", match[r->match]);
        if (r->token_header)
            json_put_text(w, "tokenHeader", r->token_header);
        json_put_i64(w, "status", r->status ? r->status : 200);
        json_put_text(w, "doc", r->doc);
        put_table(w, "params", r->params);
        put_table(w, "body", r->body);
        put_table(w, "reply", r->reply);
        json_object_end(w);
    }
}

static void put_events(struct json_writer *w, const struct service *s)
{
    json_key(w, "publishes");
    json_array_begin(w);
    for (size_t i = 0; i < s->publishes_count; i++) {
        json_object_begin(w);
        json_put_text(w, "type", s->publishes[i]->type);
        json_put_text(w, "version", s->publishes[i]->version);
        put_table(w, "payload", s->publishes[i]->payload);
        json_object_end(w);
    }
    json_array_end(w);
    json_put_text(w, "queue", s->queue);
    json_key(w, "consumes");
    json_array_begin(w);
    for (size_t i = 0; i < s->consumers_count; i++)
        json_text(w, s->consumers[i].kind->type);
    json_array_end(w);
}

static void put_outcomes(struct json_writer *w, const struct outcome_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_object_begin(w);
        json_put_text(w, "code", rows[i].code);
        json_put_i64(w, "status", rows[i].status);
        json_put_text(w, "title", rows[i].title);
        json_object_end(w);
    }
}

static void put_config(struct json_writer *w, const struct config_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_object_begin(w);
        json_put_text(w, "name", rows[i].name);
        json_put_text(w, "default", rows[i].fallback);
        json_put_bool(w, "secret", rows[i].secret);
        json_put_text(w, "doc", rows[i].doc);
        json_object_end(w);
    }
}

void describe_json(const struct service *s, struct buf *out)
{
    struct json_writer w = json_writer_on(out);
    json_object_begin(&w);
    json_put_text(&w, "service", s->name);
    json_put_text(&w, "doc", s->doc);
    json_key(&w, "routes");
    json_array_begin(&w);
    put_routes(&w, s->routes, s->routes_count);
    put_routes(&w, builtin_routes, builtin_routes_count);
    json_array_end(&w);
    put_events(&w, s);
    json_key(&w, "outcomes");
    json_array_begin(&w);
    put_outcomes(&w, common_outcomes, common_outcomes_count);
    put_outcomes(&w, s->outcomes, s->outcomes_count);
    json_array_end(&w);
    json_key(&w, "config");
    json_array_begin(&w);
    put_config(&w, settings, settings_count);
    put_config(&w, s->config, s->config_count);
    json_array_end(&w);
    json_key(&w, "statements");
    json_array_begin(&w);
    for (size_t i = 0; i < s->statements_count; i++)
        json_text(&w, s->statements[i].name);
    json_array_end(&w);
    json_key(&w, "peers");
    json_array_begin(&w);
    for (size_t i = 0; s->peers && s->peers[i]; i++)
        json_text(&w, s->peers[i]);
    json_array_end(&w);
    json_object_end(&w);
    buf_put_char(out, '\n');
}

/* ---- OpenAPI ---- */

static void put_content(struct json_writer *w, const char *media, const struct table *t, bool page)
{
    json_key(w, "content");
    json_object_begin(w);
    json_key(w, media);
    json_object_begin(w);
    json_key(w, "schema");
    if (page) {
        json_object_begin(w);
        json_put_text(w, "type", "object");
        json_key(w, "properties");
        json_object_begin(w);
        json_key(w, "data");
        json_object_begin(w);
        json_put_text(w, "type", "array");
        put_table(w, "items", t);
        json_object_end(w);
        json_key(w, "nextCursor");
        json_raw(w, SPAN("{\"type\":[\"string\",\"null\"]}"));
        json_key(w, "hasMore");
        json_raw(w, SPAN("{\"type\":\"boolean\"}"));
        json_object_end(w);
        json_object_end(w);
    } else {
        json_schema(w, t);
    }
    json_object_end(w);
    json_object_end(w);
}

static void put_header(
    struct json_writer *w, const char *name, bool required, const char *doc, struct span schema)
{
    json_object_begin(w);
    json_put_text(w, "name", name);
    json_put_text(w, "in", "header");
    json_put_bool(w, "required", required);
    json_put_text(w, "description", doc);
    json_key(w, "schema");
    json_raw(w, schema);
    json_object_end(w);
}

static void put_headers(struct json_writer *w, const struct route *r)
{
    if (r->idempotency != IDEMPOTENCY_NONE)
        put_header(w, "Idempotency-Key", r->idempotency != IDEMPOTENCY_ACCEPTED,
            "A retry with the same key and body gets the first answer",
            SPAN("{\"type\":\"string\",\"minLength\":1,\"maxLength\":255}"));
    if (r->match != MATCH_NONE)
        put_header(w, "If-Match", r->match == MATCH_REQUIRED,
            r->match == MATCH_REQUIRED
                ? "The ETag of what is to be changed; 428 without, 412 when it has changed since"
                : "The ETag of what is to be changed; 412 when it has changed since",
            SPAN("{\"type\":\"string\"}"));
    if (r->token_header)
        put_header(w, r->token_header, false, "Whose it is, without a login",
            SPAN("{\"type\":\"string\"}"));
}

static void put_parameters(struct json_writer *w, const struct route *r)
{
    json_key(w, "parameters");
    json_array_begin(w);
    put_headers(w, r);
    for (size_t i = 0; r->params && i < r->params->count; i++) {
        const struct field *f = &r->params->fields[i];
        char variable[80];
        snprintf(variable, sizeof(variable), "{%s}", f->name);
        bool in_path = strstr(r->path, variable) != NULL;
        json_object_begin(w);
        json_put_text(w, "name", f->name);
        json_put_text(w, "in", in_path ? "path" : "query");
        json_put_bool(w, "required", in_path || f->required);
        json_key(w, "schema");
        json_raw(w, f->kind == FIELD_KIND_I64    ? SPAN("{\"type\":\"integer\"}")
                    : f->kind == FIELD_KIND_BOOL ? SPAN("{\"type\":\"boolean\"}")
                                                 : SPAN("{\"type\":\"string\"}"));
        json_object_end(w);
    }
    json_array_end(w);
}

/* Any refusal is a problem document; the description names the codes of this route alone. */
static void put_problem(struct json_writer *w, const struct service *s, const struct route *r)
{
    char text[512];
    int len = snprintf(text, sizeof(text), "RFC 9457 problem");
    const char *before = "; also with code ";
    for (const int *at = r->outcomes; at && *at; at++)
        for (size_t i = 0; i < s->outcomes_count; i++)
            if (s->outcomes[i].outcome == *at && (size_t)len < sizeof(text)) {
                len += snprintf(text + len, sizeof(text) - (size_t)len, "%s%s (%d)", before,
                    s->outcomes[i].code, s->outcomes[i].status);
                before = ", ";
            }
    json_object_begin(w);
    json_put_text(w, "description", text);
    json_key(w, "content");
    json_raw(w, SPAN("{\"application/problem+json\":{\"schema\":{\"$ref\":"
                     "\"#/components/schemas/Problem\"}}}"));
    json_object_end(w);
}

static void put_operation(struct json_writer *w, const struct service *s, const struct route *r)
{
    char status[16];
    snprintf(status, sizeof(status), "%d", r->status ? r->status : 200);
    json_object_begin(w);
    json_put_text(w, "summary", r->doc);
    put_parameters(w, r);
    if (r->body) {
        json_key(w, "requestBody");
        json_object_begin(w);
        json_put_bool(w, "required", true);
        put_content(
            w, r->form ? "application/x-www-form-urlencoded" : "application/json", r->body, false);
        json_object_end(w);
    }
    json_key(w, "responses");
    json_object_begin(w);
    json_key(w, status);
    json_object_begin(w);
    json_put_text(w, "description", "Done");
    if (r->reply)
        put_content(w, "application/json", r->reply, r->reply_is_page);
    json_object_end(w);
    json_key(w, "default");
    put_problem(w, s, r);
    json_object_end(w);
    json_key(w, "security");
    json_raw(w, r->roles & ROLE_ANYONE ? SPAN("[]") : SPAN("[{\"bearer\":[]}]"));
    json_object_end(w);
}

static const char *method_key(enum http_method m)
{
    static const char *const names[] = {"get", "head", "post", "put", "patch", "delete", "options"};
    return names[m];
}

static void put_path(struct json_writer *w, const struct service *s, size_t first)
{
    json_key(w, s->routes[first].path);
    json_object_begin(w);
    for (size_t i = first; i < s->routes_count; i++)
        if (strcmp(s->routes[i].path, s->routes[first].path) == 0) {
            json_key(w, method_key(s->routes[i].method));
            put_operation(w, s, &s->routes[i]);
        }
    json_object_end(w);
}

static bool path_seen_before(const struct service *s, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (strcmp(s->routes[i].path, s->routes[at].path) == 0)
            return true;
    return false;
}

void describe_openapi(const struct service *s, struct buf *out)
{
    struct json_writer w = json_writer_on(out);
    json_object_begin(&w);
    json_put_text(&w, "openapi", "3.1.0");
    json_key(&w, "info");
    json_object_begin(&w);
    json_put_text(&w, "title", s->name);
    json_put_text(&w, "version", SOUK_VERSION);
    json_put_text(&w, "description", s->doc);
    json_object_end(&w);
    json_key(&w, "paths");
    json_object_begin(&w);
    for (size_t i = 0; i < s->routes_count; i++)
        if (!path_seen_before(s, i))
            put_path(&w, s, i);
    json_object_end(&w);
    json_key(&w, "components");
    json_raw(&w,
        SPAN(
            "{\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\","
            "\"bearerFormat\":\"JWT\"}},\"schemas\":{\"Problem\":{\"type\":\"object\",\"required\":"
            "[\"type\",\"title\",\"status\",\"code\"],\"properties\":{\"type\":{\"type\":"
            "\"string\"},"
            "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{"
            "\"type\":"
            "\"string\"},\"code\":{\"type\":\"string\"},\"correlationId\":{\"type\":\"string\"},"
            "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
            "\"pointer\":"
            "{\"type\":\"string\"},\"detail\":{\"type\":\"string\"}}}}}}}}"));
    json_object_end(&w);
}
