#pragma once
#include "common/app/migrate.h"
extern const struct migration cart_migrations[];
extern const size_t cart_migrations_count;
