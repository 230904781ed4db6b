#!/usr/bin/env bash
# The notification service is away, then the mail server: checkouts don't wait, mails do.
. tests/lib.sh

product 20 1000
shopper max
soon 5 "the welcome has come" mail_to "$EMAIL" elcome
off notification
put "$SKU"
checkout
that "without notification a checkout goes through" answered 201
soon 3 "and is confirmed" order_is "$ORDER" confirmed
that "no mail has come" bash -c "! curl -s '$MAIL_URL/email?to.address=$EMAIL' | grep $ORDER >/dev/null"
on notification
soon 10 "the mail comes with the service" mail_to "$EMAIL" "$ORDER"

(mail_down)
put "$SKU"
checkout
that "without a mail server as well" answered 201
waits() { sql_is notification "SELECT count(*) > 0 FROM deliveries WHERE recipient = '$EMAIL' AND status IN ('pending', 'sending')" t; }
soon 5 "its mail waits" waits
(mail_up)
soon 60 "and comes in the end" mail_to "$EMAIL" "$ORDER"
is "once" "$(curl -s "$MAIL_URL/email?to.address=$EMAIL" | jq --arg o "$ORDER" '[.[] | select(.headers["message-id"] | test("order_confirmation")) | select(.subject + .text | contains($o))] | length')" 1

put "$SKU"
arm notification consumer_after_commit
checkout
must 201
soon 10 "a consumer that dies has its mail sent" mail_to "$EMAIL" "$ORDER"
audit
