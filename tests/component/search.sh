#!/usr/bin/env bash
# Search in a catalogue that is too large to be looked through: what it finds is what looking through it would have found.
set -euo pipefail
. tests/component-lib.sh

service_start auth
service_start seller
S=$SELLER_SERVICE_URL/api/v1
run=$EPOCHSECONDS$$

account ann seller
ann=$ID as_ann=$(bearer "$ACCESS")
ask POST "$S/sellers" '{"name":"Everything"}' -H "$as_ann"
account bob seller
bob=$ID
ask POST "$S/sellers" '{"name":"Nearly nothing"}' -H "$(bearer "$ACCESS")"

# Words that go through the whole catalogue: one product in 10, in 60, in 1500; and one that the oldest alone have.
sql seller "WITH made AS (INSERT INTO products (sku, seller_id, name, category, price, currency, status, created_at)
    SELECT format('S-$run-%s', lpad(n::text, 5, '0')), CASE WHEN n % 100 = 0 THEN '$bob' ELSE '$ann' END::uuid,
        concat_ws(' ', 'thing', CASE WHEN n % 10 = 0 THEN 'common' END, CASE WHEN n % 60 = 7 THEN 'middling' END,
            CASE WHEN n % 1500 = 11 THEN 'seldom' END, CASE WHEN n < 900 THEN 'old' END),
        CASE n % 12 WHEN 0 THEN 'garden''s \\ $run' ELSE 'house $run' END, 100, 'USD', CASE WHEN n % 7 = 0 THEN 'inactive' ELSE 'active' END,
        clock_timestamp()
    FROM generate_series(1, 12000) n RETURNING sku)
    INSERT INTO stock (sku) SELECT sku FROM made" >/dev/null
sql seller 'VACUUM ANALYZE products' >/dev/null

# strangers QUERY CATEGORY SELLER ALL-STATES: how many are due, and how many of those that are found should not be or the other way
# round, wherever the search begins.
strangers() {
    sql seller "WITH q AS (SELECT websearch_to_tsquery('english', '$1') AS words, nullif('${2//\'/\'\'}', '') AS category, nullif('$3', '')::uuid AS seller),
        due AS (SELECT p.sku FROM q, products p WHERE p.search @@ q.words AND (q.category IS NULL OR p.category = q.category)
            AND (q.seller IS NULL OR p.seller_id = q.seller) AND ($4 OR p.status = 'active') ORDER BY p.created_at DESC, p.sku DESC LIMIT 200),
        width AS (SELECT unnest(ARRAY[1, 600, 4096, 9000, 9223372036854775807]) AS width),
        first AS (SELECT w.width, f.width AS next, f.skus FROM q, width w, products_found(q.words, q.category, q.seller, $4, 200, w.width) f),
        again AS (SELECT g.width, f.skus FROM q, first g, products_found(q.words, q.category, q.seller, $4, 200, g.next) f),
        found AS (SELECT width, 1 AS time, unnest(skus) AS sku FROM first UNION ALL SELECT width, 2, unnest(skus) FROM again)
        SELECT (SELECT count(*) FROM due) || ' ' || count(*) FROM found FULL JOIN (SELECT width, time, sku FROM due, width, (VALUES (1), (2)) t (time)) d
            USING (width, time, sku) WHERE d.sku IS NULL OR found.sku IS NULL"
}
garden="garden's \\ $run"
is 'a common word finds the newest that have it' "$(strangers common '' '' false)" '200 0'
is 'so does one that is not so common' "$(strangers middling '' '' true)" '200 0'
is 'and one that nobody asks for any more' "$(strangers old '' '' false)" '200 0'
is 'a rare word finds all that have it' "$(strangers seldom '' '' true)" '8 0'
is 'two words find what has both' "$(strangers 'old common' '' '' true)" '89 0'
is 'or either' "$(strangers 'seldom or middling' '' '' false)" '178 0'
is 'or one without the other' "$(strangers 'middling -old' '' '' true)" '185 0'
is 'or all that lack one' "$(strangers -thing '' "$ann" true)" '0 0'
is 'words in a row are in a row' "$(strangers '"thing common"' '' '' false)" '200 0'
is 'a category is looked through to its end' "$(strangers middling "house $run" '' false)" '171 0'
is 'whatever its name' "$(strangers common "$garden" '' false)" '172 0'
is 'so is a shop' "$(strangers thing '' "$bob" true)" '120 0'
is 'and a category of a shop' "$(strangers common "$garden" "$bob" false)" '35 0'
is 'what nobody has is not found' "$(strangers 'nothing' '' '' true)" '0 0'

ask GET "$S/products?q=common&limit=100"
says 'a search has pages' 200 '.data | length == 100' .hasMore "(.data | map(.name | contains(\"common\")) | all)"
first=$(field '.data[].sku')
ask GET "$S/products?q=common&limit=100"
is 'the same again' "$(field '.data[].sku')" "$first"
ask GET "$S/products?q=common&limit=100&cursor=$(field .nextCursor)"
says 'that end' 200 '.data | length == 100' '.hasMore | not'
is 'and have nothing twice' "$( (echo "$first" && field '.data[].sku') | sort | uniq -d | wc -l)" 0
ask GET "$S/products?q=seldom&sellerId=$ann" - -H "$as_ann"
says 'sellers find what they took off the shelves' 200 '.data | map(.status) | unique == ["active", "inactive"]'
ask GET "$S/products?q=the"
says 'words that say nothing find nothing' 200 '.data == []'

sql seller "DELETE FROM stock WHERE sku LIKE 'S-$run-%'; DELETE FROM products WHERE sku LIKE 'S-$run-%'"
