#!/usr/bin/env bash
# An account is closed in the middle of things: each service cleans up after it, what was ordered is
# delivered, and nothing that is told late brings anything back.
. tests/lib.sh

product 20
shop_sku=$SKU
product 5 700
other_sku=$SKU

shopper ida
ida=$USER_ID old=$TOKEN
put "$shop_sku" 2
checkout
that "she has an order" answered 201
order=$ORDER
soon 5 "which is confirmed" order_is "$order" confirmed
put "$other_sku" 1
call PUT /api/v1/notifications/preferences '{"email":{"orders":true,"payments":true,"marketing":true},"sms":{"enabled":true,"phone":"+4915112345678"}}'
must 200
soon 5 "aibuddy has learned from it" sql_is aibuddy "SELECT count(*) > 0 FROM user_items WHERE user_id = '$ida'" t

# A checkout that never got further than its hold.
hold=$(cat /proc/sys/kernel/random/uuid)
service_token() {
    curl -sS --max-time 30 "$AUTH_SERVICE_URL/oauth2/token" -u "cart:$(secret api-cart)" \
        -d 'grant_type=client_credentials&audience=seller' | jq -r .access_token
}
curl -sS --max-time 30 -o "$WORK/held" "$SELLER_SERVICE_URL/internal/v1/holds" -H "authorization: Bearer $(service_token)" \
    -H 'content-type: application/json' -d "{\"orderId\":\"$hold\",\"userId\":\"$ida\",\"items\":[{\"sku\":\"$other_sku\",\"quantity\":2}]}"
that "stock is held for her" stock_is "$other_sku" "3 2 0"

call DELETE "/api/v1/users/$ida"
that "she closes her account" answered 204

soon 5 "her cart is empty" sql_is cart "SELECT json_array_length(lines) FROM carts WHERE user_id = '$ida'" 0
soon 5 "her cards are gone" sql_is payment "SELECT count(*) FROM payment_methods WHERE user_id = '$ida' AND (deleted_at IS NULL OR token <> '')" 0
soon 5 "nothing is sent to her any more" sql_is notification "SELECT active OR email_orders OR email_payments OR email_marketing OR sms_enabled OR push_enabled FROM contacts WHERE user_id = '$ida'" f
soon 5 "but the last mail" mail_to "$EMAIL" "Your account is closed"
soon 5 "what she bought is forgotten" sql_is aibuddy "SELECT (SELECT count(*) FROM user_items WHERE user_id = '$ida') + (SELECT count(*) FROM known_orders WHERE user_id = '$ida')" 0
soon 25 "what was held for her is free again" stock_is "$other_sku" "5 0 0"
that "her order is kept" order_is "$order" confirmed
that "and its stock" stock_is "$shop_sku" "18 0 2"

# Told or done late. Services believe a session for some seconds more; what they are asked to do is refused
# by the tombstone even then.
TOKEN=$old
refused() { call "$@" && [ "$STATUS" = 401 ]; }
that "her old token fills no cart" refused POST /api/v1/cart/items "{\"sku\":\"$other_sku\",\"quantity\":1}"
that "nor adds a card" refused POST /api/v1/payment-methods '{"token":"tok_visa"}'
TOKEN=''
call POST /api/v1/auth/login "{\"email\":\"$EMAIL\",\"password\":\"quite long $RUN_ID\"}"
that "she can't log in" answered 401 invalid_credentials
call POST /api/v1/auth/password-resets "{\"email\":\"$EMAIL\"}"
that "a reset is answered like any" answered 202

late=$(jq -nc --arg u "$ida" --arg e "$EMAIL" --arg i "$(sed 's/^\(.\{14\}\)./\17/' /proc/sys/kernel/random/uuid)" --arg at "$(date -u +%FT%TZ)" '
    {eventId: $i, eventType: "user.registered", type: "user.registered", eventVersion: "1.0", timestamp: $at, source: "auth-service",
     aggregateId: $u, correlationId: "late", payload: {userId: $u, email: $e, name: "Ida"}}')
event=$(jq -r .eventId <<<"$late")
for queue in cart-queue ai-events-queue; do
    jq -nc --arg q "$queue" --arg b "$late" '{routing_key: $q, payload: $b, payload_encoding: "string", properties: {type: "user.registered", delivery_mode: 2}}' >"$WORK/late"
    management POST /api/exchanges/%2f/amq.default/publish --data-binary @"$WORK/late" >/dev/null
done
soon 10 "a late registration is heard by cart" sql_is cart "SELECT count(*) FROM inbox WHERE event_id = '$event'" 1
soon 10 "and by aibuddy" sql_is aibuddy "SELECT count(*) FROM inbox WHERE event_id = '$event'" 1
that "and opens no cart" sql_is cart "SELECT count(*) FROM carts WHERE user_id = '$ida' AND NOT closed" 0
that "nor a profile" sql_is aibuddy "SELECT forgotten FROM profiles WHERE user_id = '$ida'" t
that "only the reset of nobody's is left, unanswered" sql_is auth "SELECT count(*) FROM mail_tokens WHERE user_id = '$ida' AND purpose = 'reset_password'" 0

# The event that went past the exchange would be news to the audit.
psql -X -q -d "$CART_MIGRATE_DATABASE_URL" -c "DELETE FROM inbox WHERE event_id = '$event'"
psql -X -q -d "$AIBUDDY_MIGRATE_DATABASE_URL" -c "DELETE FROM inbox WHERE event_id = '$event'"
audit
