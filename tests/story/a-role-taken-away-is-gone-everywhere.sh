#!/usr/bin/env bash
# Seven services hold a token for good because its signature is; what auth has ended since must be
# refused by each of them within 30 seconds, and a new login has the new roles.
. tests/lib.sh

register olga seller
call POST /api/v1/sellers "{\"name\":\"Olga $RUN_ID\"}"
that "a seller may open a shop" answered 201
olga=$USER_ID olga_mail=$EMAIL old=$TOKEN
declare -A paths=([seller]=/api/v1/inventory [cart]=/api/v1/cart [order]=/api/v1/orders [payment]=/api/v1/payment-methods
    [notification]=/api/v1/notifications [aibuddy]=/api/v1/recommendations [auth]=/api/v1/auth/sessions)
# status_at SERVICE TOKEN
status_at() { TOKEN=$2 && call GET "${paths[$1]}"; }
for service in "${SERVICES[@]}"; do
    status_at "$service" "$old"
    is "$service takes the token" "$STATUS" 200
done

TOKEN=''
call POST /api/v1/auth/login '{"email":"admin@souk.example","password":"souk-demo-2026"}'
must 200
admin=$(field .accessToken)
TOKEN=$admin
call PUT "/api/v1/auth/users/$olga/roles" '{"roles":["user"]}'
that "an admin takes the role away" answered 200
began=${EPOCHREALTIME/[.,]/}
refused() { status_at "$1" "$old" && [ "$STATUS" = 401 ]; }
everywhere() {
    local service
    for service in "${SERVICES[@]}"; do refused "$service" || return 1; done
}
soon 30 "every service refuses the old token" everywhere
that "within thirty seconds" test $((${EPOCHREALTIME/[.,]/} - began)) -le 30000000

TOKEN=''
call POST /api/v1/auth/login "{\"email\":\"$olga_mail\",\"password\":\"quite long $RUN_ID\"}"
must 200
fresh=$(field .accessToken)
status_at seller "$fresh"
is "a new login is no seller" "$STATUS" 403
TOKEN=$admin
call PUT "/api/v1/auth/users/$olga/roles" '{"roles":["user","seller"]}'
must 200
TOKEN=''
call POST /api/v1/auth/login "{\"email\":\"$olga_mail\",\"password\":\"quite long $RUN_ID\"}"
fresh=$(field .accessToken)
status_at seller "$fresh"
is "and is one again when it is given back" "$STATUS" 200
TOKEN=$admin
call GET "/api/v1/auth/audit?userId=$olga&type=roles_changed"
is "the audit log has both changes and who made them" "$(field '[.data[] | .detail] == ["{user} to {user,seller}", "{user,seller} to {user}"] and all(.data[]; .actorId != .userId)')" true

# While auth is away nobody is locked out: signatures count until their tokens run out.
off auth
TOKEN=$fresh
call GET /api/v1/orders
is "without auth an honest token is still taken" "$STATUS" 200
on auth
audit
