#pragma once
#include "common/app/migrate.h"
extern const struct migration auth_migrations[];
extern const size_t auth_migrations_count;
