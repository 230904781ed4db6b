#pragma once

/* Private to the application room: the configuration that every service has. */

#include "common/app/config.h"

extern const struct config_row settings[];
extern const size_t settings_count;

#ifndef SOUK_VERSION
#define SOUK_VERSION "0.1.0"
#endif
