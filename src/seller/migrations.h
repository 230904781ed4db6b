#pragma once
#include "common/app/migrate.h"
extern const struct migration seller_migrations[];
extern const size_t seller_migrations_count;
