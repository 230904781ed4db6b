#!/usr/bin/env bash
# notification on real servers: what mails come of which events, that each comes once, what happens
# when the mail server is away, says no or says nothing, and every route. (Of the tree SOUK_BUILD.)
# shellcheck disable=SC2016 # the programs of jq and node are not for the shell
set -euo pipefail
. tests/component-lib.sh

NOTES=$SCRATCH/notes.log
service_start auth
service_start notification "NOTIFY_LOG_FILE=$NOTES"
N=$NOTIFICATION_SERVICE_URL/api/v1/notifications
run=$EPOCHSECONDS$$

# event TYPE PAYLOAD [ID] [BODY FILTER]: publishes it; sets EVENT to its id.
event() {
    local body
    EVENT=${3:-$(uuid)}
    body=$(jq -nc --arg t "$1" --argjson p "$2" --arg i "$EVENT" --arg at "$(date -u +%FT%T.%6NZ)" \
        '{eventId: $i, eventType: $t, type: $t, eventVersion: "1.0", timestamp: $at, source: "test",
          aggregateId: $i, correlationId: "test-\($i)", payload: $p}'" | ${4:-.}")
    management POST /api/exchanges/%2f/order-events/publish -d "$(jq -nc --arg k "$1" --arg b "$body" --arg i "$EVENT" \
        '{routing_key: $k, payload: $b, payload_encoding: "string",
          properties: {delivery_mode: 2, message_id: $i, type: $k}}')" | jq -e .routed >/dev/null
}
order() { jq -nc --arg o "$1" --arg u "$2" --arg e "$3" '{orderId: $o, userId: $u, customerId: $u, userEmail: $e,
    userName: "Zoë <Ann>", totalAmount: 6498, currency: "EUR", items: [
    {sku: "TEA-1", name: "Tea & <b>mint</b>", sellerId: $u, quantity: 3, unitPrice: {amount: 500, currency: "EUR"}},
    {sku: "POT-1", name: "Pot", sellerId: $u, quantity: 1, unitPrice: {amount: 4998, currency: "EUR"}}]}'; }
moved() { jq -nc --arg o "$1" --arg u "$2" --arg e "$3" --arg s "$4" --arg r "${5:-}" \
    '{orderId: $o, userId: $u, userEmail: $e, status: $s, reason: $r, totalAmount: 6498, currency: "EUR"}'; }
paid() { jq -nc --arg o "$1" --arg u "$2" --arg e "$3" --argjson a "$4" --argjson all "${5:-0}" \
    '{paymentId: $o, orderId: $o, userId: $u, userEmail: $e, amount: $a, currency: "EUR", refundedTotal: $all}'; }
user() { jq -nc --arg u "$1" --arg e "$2" '{userId: $u, email: $e, name: "Ann"}'; }

# mails ADDRESS: what the inbox has for it, as JSON. Mails with the address anywhere else do not count.
# (What auth has mailed at registration is auth-recovery.sh's.)
mails() { curl -fsS --max-time 30 "$MAIL_URL/email" | jq -c --arg a "$1" \
    '[.[] | select(.to[0].address == $a and .subject != "Is this your e-mail address?")]'; }
has_mails() { [ "$(mails "$1" | jq length)" = "$2" ]; }
# mail_is ADDRESS FILTER: of the only mail there.
mail_is() { mails "$1" | jq -e "length == 1 and (.[0] | $2)"; }
delivery() { sql notification "SELECT $2 FROM deliveries WHERE event_id = '$1' AND channel = '${3:-email}'"; }
delivery_is() { [ "$(delivery "$1" "$2" "${4:-email}")" = "$3" ]; }
handled() { [ "$(sql notification "SELECT count(*) FROM inbox WHERE event_id = '$1'")" = 1 ]; }
due_now() { sql notification "UPDATE deliveries SET next_attempt_at = now() WHERE event_id = '$1'"; }

# ---- what mails come ----

ann=$(uuid) address=ann.$run@people.example o=$(uuid)
event order.created "$(order "$o" "$ann" "$address")"
created=$EVENT
check 'an order is confirmed by mail' until_true 3 has_mails "$address" 1
check 'its subject names order and total' mail_is "$address" ".subject == \"Your order $o over 64.98 EUR\""
check 'its text lists the lines' mail_is "$address" '.text | contains("3 x Tea & <b>mint</b> at 5.00 EUR: 15.00 EUR")'
check 'its HTML is escaped' mail_is "$address" '.html | contains("Tea &amp; &lt;b&gt;mint&lt;/b&gt;") and contains("Hello Zoë &lt;Ann&gt;")'
check 'its Message-ID is made of the event' mail_is "$address" ".messageId | contains(\"$created.order_confirmation@souk.example\")"
check 'it says that a program wrote it' mail_is "$address" '.headers["auto-submitted"] == "auto-generated"'
check 'the log says sent' until_true 2 delivery_is "$created" "status || attempts || (sent_at IS NOT NULL)" sent1true

event order.created "$(order "$o" "$ann" "$address")" "$created"
event payment.completed "$(paid "$o" "$ann" "$address" 6498)"
check 'a payment has its receipt' until_true 2 has_mails "$address" 2
is 'the same event again makes no second mail' "$(mails "$address" | jq -r '[.[].subject] | sort[1] | .[:10]')" 'Your order'
event order.shipped "$(moved "$o" "$ann" "$address" shipped)"
event order.cancelled "$(moved "$o" "$ann" "$address" cancelled 'changed my mind')"
event payment.refunded "$(paid "$o" "$ann" "$address" 1000 3000)"
check 'shipment, cancellation and refund are told' until_true 2 has_mails "$address" 5
is 'each by its own template' "$(mails "$address" | jq -r '[.[].messageId | capture("\\.(?<t>[a-z_]+)@").t] | sort | join(" ")')" \
    'order_cancelled order_confirmation order_shipped payment_receipt payment_refunded'
is 'the cancellation with its reason, the refund with the sum of all' \
    "$(mails "$address" | jq '[.[].text | select(contains("Reason: changed my mind") or contains("so far: 30.00 EUR"))] | length')" 2
ignored() { curl -fsS "$NOTIFICATION_SERVICE_URL/metrics" | awk '/^souk_events_handled_total\{type="inventory.low_stock",result="ignored"/ { n = $2 } END { print n + 0 }'; }
before=$(ignored)
event inventory.low_stock "$(jq -nc --arg u "$ann" '{sku: "TEA-1", sellerId: $u, available: 1, threshold: 2}')"
passed_over() { [ "$(ignored)" -gt "$before" ]; } # others may wait in the queue, too
check 'what needs no mail is passed over' until_true 8 passed_over
is 'and leaves no row' "$(sql notification "SELECT count(*) FROM deliveries WHERE event_id = '$EVENT'")" 0

# ---- nothing of a person's words becomes a header ----

evil=evil.$run@people.example
event user.registered "$(jq -nc --arg u "$(uuid)" --arg e "$evil" '{userId: $u, email: $e, name: "Eve\r\nBcc: all@people.example\r\n\r\nbuy"}')"
check 'a name with line ends stays in the subject' until_true 2 mail_is "$evil" \
    '(.headers | has("bcc") | not) and .subject == "Welcome to Souk, Eve  Bcc: all@people.example    buy"'
event order.created "$(order "$(uuid)" "$(uuid)" "a@people.example> evil")"
check 'an address that is none fails at once' until_true 3 delivery_is "$EVENT" "status || attempts" failed1
bad=$EVENT

# ---- accounts ----

account() {
    ask POST "$AUTH_SERVICE_URL/api/v1/auth/register" "{\"email\":\"$1.$run@souk.example\",
        \"password\":\"correct horse\",\"name\":\"$1\"}"
    ID=$(field .user.userId) TOKEN=$(field .accessToken)
}
account bob
bob=$ID as_bob=$(bearer "$TOKEN") bobs=bob.$run@souk.example
check 'who registers is welcomed' until_true 5 mail_is "$bobs" '.subject == "Welcome to Souk, bob"'
account root
sql auth "UPDATE users SET roles = '{user,admin}' WHERE id = '$ID'"
ask POST "$AUTH_SERVICE_URL/api/v1/auth/login" "{\"email\":\"root.$run@souk.example\",\"password\":\"correct horse\"}"
as_root=$(bearer "$(field .accessToken)")

# ---- preferences ----

ask GET "$N/preferences"
says 'preferences need a login' 401
ask GET "$N/preferences" '' -H "$as_bob"
says 'at first mails come, nothing else' 200 '.email == {orders: true, payments: true, marketing: false}' \
    '.sms == {enabled: false, phone: null}' '.push == {enabled: false, topic: null}'
ask PUT "$N/preferences" '{"email":{"orders":true},"sms":{"enabled":true}}' -H "$as_bob"
says 'an SMS needs a number' 422 '.errors[0].pointer == "/sms/phone"'
ask PUT "$N/preferences" '{"email":{"orders":true},"push":{"enabled":true}}' -H "$as_bob"
says 'a push message needs a topic' 422 '.errors[0].pointer == "/push/topic"'
ask PUT "$N/preferences" '{"sms":{"enabled":true,"phone":"12"},"email":{"orders":1}}' -H "$as_bob"
says 'every bad field is named' 422 '[.errors[].pointer] | contains(["/sms/phone", "/email/orders"])'
wanted='{"email":{"orders":true,"payments":false,"marketing":false},"sms":{"enabled":true,"phone":"+4915112345678"},"push":{"enabled":true,"topic":"bobs-phone"}}'
ask PUT "$N/preferences" "$wanted" -H "$as_bob"
says 'preferences are said anew' 200 ". == $wanted"
ask GET "$N/preferences" '' -H "$as_bob"
says 'and kept' 200 ". == $wanted"

o=$(uuid)
event payment.completed "$(paid "$o" "$bob" "$bobs" 100)"
check 'an unwanted mail is suppressed' until_true 3 delivery_is "$EVENT" status suppressed
unwanted=$EVENT
check 'SMS and push go out' until_true 3 delivery_is "$EVENT" status sent sms
check 'through an adapter that writes a file' until_true 3 jq -se --arg o "$o" \
    '[.[] | select(.text == "Receipt: 1.00 EUR paid for order \($o)") | .channel + " " + .recipient] | sort == ["push bobs-phone", "sms +4915112345678"]' "$NOTES"
check 'and no mail' has_mails "$bobs" 1
event order.created "$(order "$o" "$bob" "other.$run@people.example")"
check 'the account'"'"'s own address goes before the order'"'"'s' until_true 3 has_mails "$bobs" 2
event user.updated "$(user "$bob" "new.$bobs")"
check 'a changed address is heard' until_true 3 handled "$EVENT"
event user.updated "$(user "$bob" "old.$bobs")" '' '.timestamp = "2020-01-01T00:00:00Z"'
check 'an older change is heard too' until_true 3 handled "$EVENT"
event order.shipped "$(moved "$o" "$bob" '' shipped)"
check 'but does not count; the event needs no address of its own' until_true 3 has_mails "new.$bobs" 1
event payment.failed "$(paid "$o" "$(uuid)" '' 100)"
event order.shipped "$(jq -nc --arg u "$(uuid)" '{orderId: $u, userId: $u, status: "shipped"}')"
check 'without any address the log says so' until_true 3 delivery_is "$EVENT" "status || ': ' || last_error" 'failed: no address is known'

# ---- lists ----

ask GET "$N?limit=2" '' -H "$as_bob"
says 'one sees what was sent to oneself' 200 '.data | length == 2' '.hasMore' '.data[0].template == "order_shipped"' \
    '.data[0] | has("text") or has("lastError") | not'
seen=$(field '.data[].deliveryId') cursor=$(field .nextCursor)
while [ "$cursor" != null ]; do
    ask GET "$N?limit=2&cursor=$cursor" '' -H "$as_bob"
    seen+=$'\n'$(field '.data[].deliveryId') cursor=$(field .nextCursor)
done
is 'page by page, all and each once' "$(sort -u <<<"$seen" | grep -c .) $(grep -c . <<<"$seen")" \
    "$(sql notification "SELECT count(*) || ' ' || count(*) FROM deliveries WHERE user_id = '$bob'")"
ask GET "$N?cursor=abc" '' -H "$as_bob"
says 'a made-up cursor is refused' 422 '.errors[0].pointer == "/cursor"'
ask GET "$N/deliveries" '' -H "$as_bob"
says 'the delivery log is not for shoppers' 403
ask GET "$N/deliveries?status=failed" '' -H "$as_root"
says 'an admin sees what failed and why' 200 'all(.data[]; .status == "failed" and (.lastError | length > 0))' '.data | length >= 2' \
    '.data[0] | has("correlationId") and has("attempts")'
ask GET "$N/deliveries?status=lost" '' -H "$as_root"
says 'of the states that there are' 422 '.errors[0].pointer == "/status"'

# ---- by hand ----

resend() { ask POST "$N/deliveries/$1/resend" '' -H "$as_root" "${@:2}"; }
id=$(delivery "$created" id)
resend "$id" -H "Idempotency-Key: again-$run"
says 'an admin sends a mail again' 200 '.status == "pending" and .attempts == 0'
check 'it comes again' until_true 3 has_mails "$address" 6
resend "$id" -H "Idempotency-Key: again-$run"
says 'the same request again is the same answer' 200 '.status == "pending"'
is 'and no third mail: one Message-ID, two mails' "$(mails "$address" | jq -r --arg e "$created" '[.[].messageId | select(contains($e))] | length, (unique | length)' | paste -sd ' ')" '2 1'
resend "$(delivery "$unwanted" id)"
says 'nobody is sent what they do not want' 409 '.code == "delivery_unwanted"'
resend "$(uuid)"
says 'nor what there is not' 404 '.code == "not_found"'
ask POST "$N/deliveries/$id/resend" '' -H "$as_bob"
says 'and only admins may' 403
ask GET "$N/templates/order_confirmation/preview" '' -H "$as_root"
says 'a template can be looked at' 200 '.text | contains("Total: 74.99 USD")' '.html | contains("&lt;loose&gt;")' '.name == "order_confirmation"'
ask GET "$N/templates/none/preview" '' -H "$as_root"
says 'if there is one' 404
ask GET "$N/templates/welcome/preview" '' -H "$as_bob"
says 'by admins' 403

# ---- the mail server is away ----

mail_down
late=late.$run@people.example
event order.created "$(order "$(uuid)" "$(uuid)" "$late")"
check 'without a mail server events are handled all the same' until_true 2 handled "$EVENT"
check 'the mail waits its five seconds' until_true 3 delivery_is "$EVENT" \
    "status || attempts || (next_attempt_at - now() BETWEEN interval '1 second' AND interval '5 seconds')" pending1true
waiting=$(delivery "$EVENT" id)
resend "$waiting"
says 'what waits need not be sent again' 409 '.code == "delivery_on_its_way"'
due_now "$EVENT"
check 'then ten' until_true 3 delivery_is "$EVENT" \
    "status || attempts || (next_attempt_at - now() BETWEEN interval '6 seconds' AND interval '10 seconds')" pending2true
sql notification "UPDATE deliveries SET attempts = 11, next_attempt_at = now() WHERE event_id = '$bad' OR event_id = '$EVENT'"
check 'and after the twelfth time never' until_true 3 delivery_is "$EVENT" "status || attempts" failed12
event order.created "$(order "$(uuid)" "$(uuid)" "2$late")"
check 'another one waits' until_true 3 delivery_is "$EVENT" "status || attempts" pending1
mail_up >/dev/null
resend "$waiting"
due_now "$EVENT"
check 'once it is back, both come' until_true 3 eval "has_mails $late 1 && has_mails 2$late 1"

# ---- it says no, or not now, or nothing ----

cat >"$SCRATCH/smtp.js" <<'JS'
// Answers by the name of the recipient: never@ 550, later@ 451, silent@ not at all.
require('net').createServer(s => {
  let data = false
  s.on('error', () => {})
  s.write('220 test\r\n')
  s.on('data', chunk => {
    for (const line of chunk.toString().split('\r\n')) {
      if (data) { if (line === '.') { data = false; s.write('250 taken\r\n') } continue }
      if (/^RCPT.*<never/.test(line)) s.write('550 5.1.1 no such person\r\n')
      else if (/^RCPT.*<later/.test(line)) s.write('451 4.7.1 not now\r\n')
      else if (/^RCPT.*<silent/.test(line)) continue
      else if (/^DATA/.test(line)) { data = true; s.write('354 go\r\n') }
      else if (/^QUIT/.test(line)) s.end('221 bye\r\n')
      else if (line) s.write('250 fine\r\n')
    }
  })
}).listen(+process.argv[2], '127.0.0.1')
JS
odd_port=$((PORT_BASE + 18))
_odd_smtp() { exec setsid node "$SCRATCH/smtp.js" "$odd_port"; }
service_stop notification
spawn test-odd-smtp _odd_smtp
_started+=(test-odd-smtp)
await test-odd-smtp 10 port_open "$odd_port"
service_start notification "SMTP_URL=smtp://127.0.0.1:$odd_port" "NOTIFY_LOG_FILE=$NOTES"
event order.created "$(order "$(uuid)" "$(uuid)" "silent.$run@people.example")"
silent=$EVENT
check 'a mail to a silent server is being sent' until_true 2 delivery_is "$silent" status sending
event order.created "$(order "$(uuid)" "$(uuid)" "never.$run@people.example")"
check 'meanwhile the next event is handled' until_true 2 handled "$EVENT"
ask GET "$NOTIFICATION_SERVICE_URL/readyz"
says 'and requests are answered' 200
never=$EVENT
event order.created "$(order "$(uuid)" "$(uuid)" "later.$run@people.example")"
later=$EVENT
check 'the silent server is given up after ten seconds' until_true 14 delivery_is "$silent" "status || attempts" pending1
check 'what is refused for good has failed, with the reason' until_true 5 delivery_is "$never" \
    "status || attempts || (last_error LIKE '%no such person%')" failed1true
check 'what is refused for now is tried again' until_true 5 delivery_is "$later" \
    "status || attempts || (last_error LIKE '%not now%')" pending1true
service_stop notification
service_stop odd-smtp

# ---- a death between the server's yes and our note of it ----

if grep -qa mail_after_send "$(service_binary notification)"; then
    dead=dead.$run@people.example
    # What waits for another try would go out first.
    sql notification "UPDATE deliveries SET next_attempt_at = now() + interval '1 hour' WHERE status = 'pending'"
    _fatal() {
        service_environment notification
        SOUK_FAULT=mail_after_send exec "$(service_binary notification)"
    }
    spawn test-fatal _fatal
    _started+=(test-fatal)
    await test-fatal 20 http_ok "$NOTIFICATION_SERVICE_URL/readyz"
    event order.created "$(order "$(uuid)" "$(uuid)" "$dead")"
    gone() { ! running test-fatal; }
    check 'the process dies after the mail server has taken the mail' until_true 5 gone
    is 'it is under its lease' "$(delivery "$EVENT" "status || (next_attempt_at > now())")" sendingtrue
    service_start notification
    due_now "$EVENT"
    check 'after the lease it is sent again' until_true 3 delivery_is "$EVENT" "status || attempts" sent2
    is 'as the same mail' "$(mails "$dead" | jq -c '[length, ([.[].messageId] | unique | length)]')" '[2,1]'
else
    service_start notification
fi

# ---- a closed account ----

event user.deactivated "$(user "$bob" "$bobs")"
check 'a closed account is heard of' until_true 3 handled "$EVENT"
event payment.completed "$(paid "$o" "$bob" "$bobs" 100)"
check 'it is written no more' until_true 3 delivery_is "$EVENT" status suppressed
is 'by no channel' "$(sql notification "SELECT count(*) FROM deliveries WHERE event_id = '$EVENT'")" 1
for told in shipped cancelled; do
    event order.$told "$(moved "$o" "$bob" "$bobs" $told)"
    check "but that its order was $told" until_true 3 delivery_is "$EVENT" status sent
    is 'by mail alone' "$(sql notification "SELECT string_agg(channel, ' ') FROM deliveries WHERE event_id = '$EVENT'")" email
done
event payment.refunded "$(paid "$o" "$bob" "$bobs" 100 100)"
check 'and refunded' until_true 3 delivery_is "$EVENT" status sent
brief=$(uuid)
sql notification "INSERT INTO deliveries (id, event_id, template, kind, channel, recipient, user_id, subject, body_text, message_id, correlation_id, status, next_attempt_at)
    SELECT gen_random_uuid(), gen_random_uuid(), t, 'account', 'email', 'brief@people.example', '$brief', t, t, t || '$brief', 'test', 'pending', now() + interval '1 hour'
    FROM unnest(ARRAY['welcome', 'verify_email', 'password_reset', 'new_sign_in']) t"
event user.deactivated "$(user "$brief" brief@people.example)"
check 'a welcome that waits, and links, go nowhere' until_true 3 handled "$EVENT"
is 'a warning does' "$(sql notification "SELECT string_agg(template, ' ') FROM deliveries WHERE user_id = '$brief' AND status = 'pending' AND template <> 'account_closed'")" new_sign_in
sql notification "DELETE FROM deliveries WHERE user_id = '$brief' AND template = 'new_sign_in'"

# ---- a crowd ----

crowd=$(for i in {1..60}; do uuid; done)
for u in $crowd; do event payment.completed "$(paid "$u" "$u" "$u@crowd.example" 100)"; done
all_sent() { [ "$(sql notification "SELECT count(*) FROM deliveries WHERE status = 'sent' AND recipient LIKE '%@crowd.example' AND user_id::text IN ('${crowd//$'\n'/\',\'}')")" = 60 ]; }
check 'sixty mails go out' until_true 10 all_sent
is 'each once' "$(curl -fsS "$MAIL_URL/email" | jq --arg c "$crowd" '[.[].to[0].address | select(endswith("@crowd.example")) | split("@")[0] | select(inside($c))] | [length, (unique | length)]' -c)" '[60,60]'
