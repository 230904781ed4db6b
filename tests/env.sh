# shellcheck shell=bash
# Where the servers of a running suite are, for tests and tools:   . tests/env.sh
# By default the ones that `./souk test` starts; SOUK_STATE and SOUK_PORT_BASE choose others.
# For each service SVC: SVC_SERVICE_URL, SVC_DATABASE_URL (its runtime role), SVC_MIGRATE_DATABASE_URL
# (the owner), SVC_AUDIT_DATABASE_URL (reads only), SVC_AMQP_URL (its broker user), SVC_API_KEY_FILE.
# For all: TEST_DATABASE_URL (superuser; TEST_PG_URL is the same), OPS_AMQP_URL (ops),
# RABBITMQ_MANAGEMENT_URL (with user), REDIS_URL, SMTP_URL, MAIL_URL, PUBLIC_URL.
# In scripts also the functions of tools/lib: management, admin_psql, running, die and so on.

_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${SOUK_STATE:=$_root/.souk-test}" "${SOUK_PORT_BASE:=18080}"
export SOUK_STATE SOUK_PORT_BASE SOUK_BUILD
for _part in common postgres redis rabbitmq gateway mail services; do
    # shellcheck source=/dev/null
    . "$_root/tools/lib/$_part.sh"
done
data_folder
external_load
SOUK_BUILD=$BUILD

for _svc in "${SERVICES[@]}"; do
    _name=$(upper "$_svc")
    export "${_name}_SERVICE_URL=$(service_url "$_svc")"
    export "${_name}_DATABASE_URL=$(database_url "$_svc")"
    export "${_name}_MIGRATE_DATABASE_URL=$(database_url "$_svc" owner)"
    export "${_name}_AUDIT_DATABASE_URL=postgresql://souk_audit:$(secret pg-souk_audit)@127.0.0.1:${PORTS[postgres]}/souk_$_svc"
    export "${_name}_AMQP_URL=$(amqp_url "$_svc")"
    export "${_name}_API_KEY_FILE=$STATE/service-keys/$_svc.key"
done
TEST_DATABASE_URL=postgresql://souk_admin:$(secret pg-admin)@127.0.0.1:${PORTS[postgres]}/postgres
TEST_PG_URL=$TEST_DATABASE_URL
OPS_AMQP_URL=$(amqp_url ops)
RABBITMQ_MANAGEMENT_URL=$(management_login_url)
REDIS_URL=$(redis_url)
SMTP_URL=$(smtp_url)
MAIL_URL=http://127.0.0.1:${PORTS[mail]}
PUBLIC_URL=$(public_url)
export TEST_DATABASE_URL TEST_PG_URL OPS_AMQP_URL RABBITMQ_MANAGEMENT_URL REDIS_URL SMTP_URL MAIL_URL PUBLIC_URL
