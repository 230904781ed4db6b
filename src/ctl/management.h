#pragma once

/* RabbitMQ's management API, as its operator. Every function answers 0, or an exit code after a
 * sentence on stderr. */

#include "common/fiber/fiber.h"
#include "common/net/http.h"
#include "ctl/ctl.h"

struct management;
/* Where RABBITMQ_MANAGEMENT_URL says. Nothing is sent yet. */
int management_new(struct ctl *ctl, struct management **ret_management);
void management_free(struct management *m);              /* NULL ok */
const char *management_name(const struct management *m); /* its url, without the password */
/* The answer's body, in the fiber's arena. */
int management_get(struct management *m, const char *path, struct span *ret_body) PARKS;
/* What is deleted already is gone, too. */
int management_delete(struct management *m, const char *path) PARKS;
/* A call that may be made twice. */
int management_post(struct management *m, const char *path, struct span body) PARKS;
/* One part of a path, percent-encoded; in `a`. */
const char *management_part(struct arena *a, const char *text);
