#pragma once

/* A private PostgreSQL for tests, on loopback, in a folder under /tmp. One server serves a whole
 * test binary: it starts when a test first asks (tests are processes of their own, so a lock file
 * named after the runner says who starts it) and is stopped when the runner ends. With TEST_PG_URL
 * in the environment that server is used instead. For criterion tests only; all calls block. */

/* The url of an empty database of the calling test's own. Fails the test when there is no server.
 */
const char *pg_server_url(void);

/* As pg_server_url with more of a query, e.g. "application_name=x". In static storage. */
const char *pg_server_url_with(const char *query);

/* The server's port, and the test's url with another port of this machine: for proxies. */
int pg_server_port(void);
const char *pg_server_url_at(int port);

/* Runs SQL on the test's database over an own plain connection; the first value of the first row,
 * in static storage, or "". Fails the test on an error. */
const char *pg_server_exec(const char *sql);

/* A server of the calling test's own, for tests that stop or freeze it. */
struct pg_private {
    char folder[64];
    char url[128];
    int port;
    int pid; /* the postmaster */
};
void pg_private_start(struct pg_private *s); /* initialises the folder when it is empty */
void pg_private_stop(struct pg_private *s);  /* immediate; the folder stays */
void pg_private_free(struct pg_private *s);  /* stops it and removes the folder */
