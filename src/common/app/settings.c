#include "common/app/settings.h"

const struct config_row settings[] = {
    {"PORT", CONFIG_I64, .fallback = "0", .max = 65535, .doc = "HTTP port; 0 takes a free one"},
    {"LISTEN_ADDRESS", CONFIG_TEXT, .fallback = "127.0.0.1", .doc = "numeric address to listen on"},
    {"DATABASE_URL", CONFIG_TEXT, .fallback = NULL, .secret = true,
        .doc = "this service's own PostgreSQL database, as its runtime role"},
    {"MIGRATE_DATABASE_URL", CONFIG_TEXT, .fallback = "", .secret = true,
        .doc = "the same database as its owner, for --migrate"},
    {"DATABASE_POOL", CONFIG_I64, .fallback = "8", .min = 1, .max = 64, .doc = "connections"},
    {"REDIS_URL", CONFIG_TEXT, .fallback = "", .secret = true,
        .doc = "redis://host:port; empty: no cache"},
    {"AMQP_URL", CONFIG_TEXT, .fallback = "", .secret = true,
        .doc = "RabbitMQ, as this service's own user"},
    {"AUTH_SERVICE_URL", CONFIG_TEXT, .fallback = "", .doc = "base URL of auth"},
    {"CART_SERVICE_URL", CONFIG_TEXT, .fallback = "", .doc = "base URL of cart"},
    {"ORDER_SERVICE_URL", CONFIG_TEXT, .fallback = "", .doc = "base URL of order"},
    {"PAYMENT_SERVICE_URL", CONFIG_TEXT, .fallback = "", .doc = "base URL of payment"},
    {"SELLER_SERVICE_URL", CONFIG_TEXT, .fallback = "", .doc = "base URL of seller"},
    {"NOTIFICATION_SERVICE_URL", CONFIG_TEXT, .fallback = "", .doc = "base URL of notification"},
    {"AIBUDDY_SERVICE_URL", CONFIG_TEXT, .fallback = "", .doc = "base URL of aibuddy"},
    {"AUTH_SERVICE_API_KEY", CONFIG_TEXT, .fallback = "", .secret = true,
        .doc = "this service's secret for service tokens"},
    {"REVOCATION_POLL_S", CONFIG_I64, .fallback = "5", .min = 1, .max = 20,
        .doc = "how often auth is asked which logins have ended"},
    {"PUBLIC_URL", CONFIG_TEXT, .fallback = "http://127.0.0.1:8080",
        .doc =
            "where shoppers reach the gateway; tokens name it as their issuer, so it is the same "
            "for all services"},
    {"REQUEST_TIMEOUT_MS", CONFIG_I64, .fallback = "2000", .min = 50, .max = 60000,
        .doc = "deadline of a request when the caller sent none"},
    {"READY_OUTBOX_AGE_S", CONFIG_I64, .fallback = "300", .max = 86400,
        .doc = "not ready while an event waits longer for the broker; 0: ready all the same"},
    {"WORK_LIMIT", CONFIG_I64, .fallback = "50000", .max = 100000000,
        .doc = "unfinished work beyond which no more events are taken; 0: no limit"},
    {"BACKLOG_SHARE", CONFIG_I64, .fallback = "15", .min = 1, .max = 100,
        .doc =
            "percent of the time that a backlog of events is worked on; the rest is for requests"},
    {"OFFLOAD_THREADS", CONFIG_I64, .fallback = "2", .min = 1, .max = 16,
        .doc = "workers for hashes and signatures"},
    {"DRAIN_TIMEOUT_MS", CONFIG_I64, .fallback = "8000", .min = 100, .max = 120000,
        .doc = "how long SIGTERM waits for running work"},
    {"CORE_DUMPS", CONFIG_I64, .fallback = "0", .max = 1,
        .doc =
            "1: a crash may leave a core, and a debugger attach; cores hold passwords and tokens"},
    {"LOG_LEVEL", CONFIG_TEXT, .fallback = "info", .doc = "debug, info, warn or error"},
    {"SOUK_ENV", CONFIG_TEXT, .fallback = "development", .doc = "development or production"},
};
const size_t settings_count = ARRAY_SIZE(settings);
