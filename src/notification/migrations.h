#pragma once
#include "common/app/migrate.h"
extern const struct migration notification_migrations[];
extern const size_t notification_migrations_count;
