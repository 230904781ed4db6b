#pragma once

/* Generated at build time from app/migrations: what every service's database has. */

#include "common/app/migrate.h"

extern const struct migration app_migrations[];
extern const size_t app_migrations_count;
