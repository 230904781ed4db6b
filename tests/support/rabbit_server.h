#pragma once

/* A private RabbitMQ for tests: own node name, epmd, ports and data folder, all gone at the end.
 * With TEST_AMQP_URL in the environment that broker is used instead, and tests that must kill,
 * freeze or alarm their broker ask rabbit_server_private() first.
 *
 * Start it once in main(); each test is a new program that attaches to it. The handle lives in a
 * mapped file, so a test that restarts the broker tells everybody. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct rabbit_server;

struct rabbit_server *rabbit_server_attach(void); /* in a test: the one its parent has started */
struct rabbit_server *rabbit_server_start(void);  /* NULL: it did not come up; says why on stderr */
void rabbit_server_stop(struct rabbit_server *s);
const char *rabbit_server_url(const struct rabbit_server *s);
bool rabbit_server_private(const struct rabbit_server *s);

void rabbit_server_kill(struct rabbit_server *s);   /* SIGKILL, waits until it is gone */
bool rabbit_server_launch(struct rabbit_server *s); /* after a kill; does not wait */
bool rabbit_server_await(struct rabbit_server *s);  /* until it accepts connections */
void rabbit_server_freeze(struct rabbit_server *s); /* SIGSTOP */
void rabbit_server_thaw(struct rabbit_server *s);
/* Runs rabbitmqctl with up to 6 arguments, NULL-terminated; its exit code. */
int rabbit_server_ctl(struct rabbit_server *s, const char *const *args);

/* A plain blocking connection for arranging things; ends the test process on failure. */
struct rabbit_admin;
struct rabbit_admin *rabbit_admin_new(const struct rabbit_server *s);
void rabbit_admin_free(struct rabbit_admin *a);
void rabbit_admin_exchange(
    struct rabbit_admin *a, const char *name, const char *type, bool internal);
void rabbit_admin_queue(struct rabbit_admin *a, const char *name); /* durable, quorum, empty */
void rabbit_admin_bind(
    struct rabbit_admin *a, const char *queue, const char *exchange, const char *key);
int rabbit_admin_depth(struct rabbit_admin *a, const char *queue); /* ready messages */
void rabbit_admin_delete_queue(struct rabbit_admin *a, const char *name);
/* A message with one deeply nested header and a list, which our own publisher cannot make. */
void rabbit_admin_publish_odd(struct rabbit_admin *a, const char *queue, size_t body_len);
