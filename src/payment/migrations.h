#pragma once
#include "common/app/migrate.h"
extern const struct migration payment_migrations[];
extern const size_t payment_migrations_count;
