#pragma once
#include "common/app/migrate.h"
extern const struct migration aibuddy_migrations[];
extern const size_t aibuddy_migrations_count;
