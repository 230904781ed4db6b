#pragma once

/* Private to the application room: a service's own unfinished work as gauges. */

struct pg_statement;

/* Runs the statement (see struct service) every 5 s and shows its rows. */
int backlog_start(const struct pg_statement *s);
