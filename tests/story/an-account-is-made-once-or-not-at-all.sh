#!/usr/bin/env bash
# auth dies before and after the commit of a registration.
. tests/lib.sh

try() { call POST /api/v1/auth/register "{\"email\":\"$1\",\"password\":\"quite long $RUN_ID\",\"name\":\"Ivo\"}"; }

early=early.$RUN_ID@people.example
arm auth register_before_commit
try "$early"
that "before the commit: the visitor is told to try again" answered 503
soon 10 "auth comes back" struck auth
is "there is no account" "$(sql auth "SELECT count(*) FROM users WHERE email = '$early'")" 0
try "$early"
that "trying again makes it" answered 201

late=late.$RUN_ID@people.example
arm auth register_after_commit
try "$late"
that "after the commit: the visitor does not know" answered 503
soon 10 "auth comes back" struck auth
try "$late"
that "the account is there" answered 409 email_taken
call POST /api/v1/auth/login "{\"email\":\"$late\",\"password\":\"quite long $RUN_ID\"}"
that "and its owner is let in" answered 200
for email in "$early" "$late"; do
    soon 10 "told once, $email has a cart" sql_is cart \
        "SELECT count(*) FROM carts WHERE user_id = '$(sql auth "SELECT id FROM users WHERE email = '$email'")'" 1
done
audit
