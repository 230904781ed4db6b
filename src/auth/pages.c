/* What a mailed link opens. Mail scanners and previews follow links, so opening one changes
 * nothing: it shows a form, and sending the form does what the API's confirm routes do. No script,
 * nothing from elsewhere, and the address with the token in it is neither sent on (Referrer-Policy)
 * nor kept (no-store). The only text of outside in a page is the token, and that only when it is
 * made of a token's characters. */

#include <ctype.h>

#include "auth/auth.h"
#include "common/app/form.h"

#define TOKEN_LENGTH (CRYPTO_TOKEN_SIZE - 1)

static bool looks_like_token(const char *text)
{
    size_t n = 0;
    for (; text[n]; n++)
        if (!isalnum((unsigned char)text[n]) && text[n] != '-' && text[n] != '_')
            return false;
    return n == TOKEN_LENGTH;
}

static int reply_page_html(struct request *req, int status, const char *title, const char *content)
{
    const char *html = arena_printf(req->arena,
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width\"><title>%s</title>\n"
        "<style>body{margin:0;padding:24px;background:#f5f2ec;color:#222;"
        "font:16px/1.5 sans-serif}main{max-width:480px;margin:auto;padding:24px;background:#fff;"
        "border-radius:8px}input,button{font:inherit;padding:8px;width:100%%;"
        "box-sizing:border-box;margin:8px 0}</style></head>\n"
        "<body><main><h1>%s</h1>\n%s\n</main></body>\n</html>\n",
        title, title, content);
    reply_header(req, "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'");
    reply_header(req, "Referrer-Policy", "no-referrer");
    reply_header(req, "X-Frame-Options", "DENY");
    reply_header(req, "X-Content-Type-Options", "nosniff");
    return reply_text(req, status, "text/html; charset=utf-8", span_of(html));
}

static int reply_bad_link(struct request *req)
{
    return reply_page_html(req, 400, "This link is not good (any more)",
        "<p>It was used, has run out, or a newer one was sent. Ask for another one.</p>");
}

/* What went wrong, as a page: bad fields and links; anything else stays a problem document. */
static int reply_failure(struct request *req, int r, const char *form)
{
    if (r == AUTH_INVALID_LINK)
        return reply_bad_link(req);
    if (r != OUTCOME_INVALID || req->errors.count == 0 || !form)
        return r;
    const char *content = arena_printf(
        req->arena, "<p><b>The password %s.</b></p>\n%s", req->errors.at[0].detail, form);
    return reply_page_html(req, 422, "Choose another password", content);
}

static int read_form(struct request *req, void *ret_value)
{
    if (!form_type_fits(request_header(req, "Content-Type")))
        return refuse(
            req, OUTCOME_UNSUPPORTED_MEDIA, "Programs use the confirm route beside this one");
    int r = form_read(req->arena, req->http->body, req->route->body, ret_value, &req->errors);
    return r > 0 ? OUTCOME_INVALID : r;
}

/* ---- verification ---- */

int get_verification_page(struct request *req)
{
    const struct link_body *p = req->params;
    if (!looks_like_token(p->token))
        return reply_bad_link(req);
    return reply_page_html(req, 200, "Verify your e-mail address",
        arena_printf(req->arena,
            "<form method=\"post\" action=\"" VERIFICATION_PAGE "\">"
            "<input type=\"hidden\" name=\"token\" value=\"%s\">"
            "<button>This is my address</button></form>",
            p->token));
}

int post_verification_page(struct request *req)
{
    struct link_body form;
    TRY(read_form(req, &form));
    int r = verify_email(req, form.token);
    if (r != 0)
        return r < 0 ? ERR(r) : reply_failure(req, r, NULL);
    return reply_page_html(req, 200, "Your e-mail address is verified", "<p>Thank you.</p>");
}

/* ---- a new password ---- */

static const char *reset_form(struct request *req, const char *token)
{
    return arena_printf(req->arena,
        "<form method=\"post\" action=\"" RESET_PAGE "\">"
        "<input type=\"hidden\" name=\"token\" value=\"%s\">"
        "<label>New password, 8 characters or more"
        "<input type=\"password\" name=\"newPassword\" autocomplete=\"new-password\" required>"
        "</label><button>Set it and end all sessions</button></form>",
        token);
}

int get_reset_page(struct request *req)
{
    const struct link_body *p = req->params;
    if (!looks_like_token(p->token))
        return reply_bad_link(req);
    return reply_page_html(req, 200, "Choose a new password", reset_form(req, p->token));
}

int post_reset_page(struct request *req)
{
    struct reset_confirm_body form;
    int r = read_form(req, &form);
    if (r != 0 && r != OUTCOME_INVALID)
        return r < 0 ? ERR(r) : r;
    if (!form.token || !looks_like_token(form.token))
        return reply_bad_link(req);
    if (r == 0)
        r = reset_password(req, form.token, form.new_password);
    if (r != 0)
        return r < 0 ? ERR(r) : reply_failure(req, r, reset_form(req, form.token));
    return reply_page_html(req, 200, "Your password is changed",
        "<p>All sessions have ended. Log in with the new password.</p>");
}
