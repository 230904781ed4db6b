#pragma once
#include "common/app/migrate.h"
extern const struct migration order_migrations[];
extern const size_t order_migrations_count;
