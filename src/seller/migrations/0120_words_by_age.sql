-- migrate:up
-- The words' index knows how old a product is, of which category and whose: the newest that have a word are found without reading
-- all that have it. Products are numbered as they came, and a number belongs to a block of 2^9, one of 2^13 and one of 2^17. What
-- names these is no word that anybody could ask for: those have no spaces. Rewrites all products and the index.
DROP INDEX products_search;
ALTER TABLE products ADD COLUMN number bigint NOT NULL DEFAULT 0;
UPDATE products p SET number = n.number
    FROM (SELECT sku, row_number() OVER (ORDER BY created_at, sku) AS number FROM products) n WHERE n.sku = p.sku;
ALTER TABLE products ALTER COLUMN number DROP DEFAULT, ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('products', 'number'), coalesce(max(number), 0) + 1, false) FROM products;

CREATE FUNCTION product_words(search tsvector, number bigint, category text, seller_id uuid) RETURNS tsvector
    IMMUTABLE PARALLEL SAFE
    RETURN search || array_to_tsvector(ARRAY['9 ' || (number >> 9), '13 ' || (number >> 13), '17 ' || (number >> 17),
        'category ' || md5(category), 'seller ' || seller_id]);
CREATE INDEX products_search ON products USING gin (product_words(search, number, category, seller_id));

-- The newest `judged` products that have the words, and how well each fits, in millionths. They are looked for among the newest
-- `width`; where those have too few, among as many as should have enough by what was met so far (16 times as many at most, for
-- what is sold changes), until there are enough or all have been looked at. So a common word is read as far as is needed, and a
-- rare one, which is in few places, to its end. Words and blocks are two conditions, so that either skips what the other has not.
-- What is found does not depend on the width it begins with; it gives the one to begin with when the same is asked for again.
CREATE FUNCTION products_found(words tsquery, the_category text, the_seller uuid, all_states boolean, judged integer,
    INOUT width bigint, OUT skus text[], OUT ranks bigint[])
    LANGUAGE plpgsql STABLE SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    newest bigint := coalesce((SELECT number FROM products ORDER BY created_at DESC, sku DESC LIMIT 1), 0);
    wanted tsquery := words;
    blocks tsquery;
    bits integer;
    reached bigint;
BEGIN
    IF numnode(words) = 0 THEN
        RETURN;
    END IF;
    IF the_category IS NOT NULL THEN
        wanted := wanted && format('''category %s''', md5(the_category))::tsquery;
    END IF;
    IF the_seller IS NOT NULL THEN
        wanted := wanted && format('''seller %s''', the_seller)::tsquery;
    END IF;
    width := greatest(width, 1); -- or it never grew
    WHILE width < newest LOOP
        bits := CASE WHEN width <= 8192 THEN 9 WHEN width <= 131072 THEN 13 ELSE 17 END;
        SELECT string_agg(format('''%s %s''', bits, block), '|')::tsquery INTO blocks
            FROM generate_series((newest - width) >> bits, (newest >> bits) + 1) block;
        SELECT array_agg(f.sku), array_agg((ts_rank(f.search, words) * 1000000)::bigint), newest - min(f.number) INTO skus, ranks, reached
            FROM (SELECT p.sku, p.search, p.number FROM products p
                WHERE product_words(p.search, p.number, p.category, p.seller_id) @@ wanted
                    AND product_words(p.search, p.number, p.category, p.seller_id) @@ blocks
                    AND (the_category IS NULL OR p.category = the_category) AND (all_states OR p.status = 'active')
                ORDER BY p.created_at + interval '0' DESC, p.sku DESC LIMIT judged) f;
        IF cardinality(skus) >= judged THEN
            width := reached + reached / 16 + 1;
            RETURN;
        END IF;
        width := least(16, 1.5 * judged / greatest(coalesce(cardinality(skus), 0), 1)) * width;
    END LOOP;
    SELECT array_agg(f.sku), array_agg((ts_rank(f.search, words) * 1000000)::bigint), newest - min(f.number) INTO skus, ranks, reached
        FROM (SELECT p.sku, p.search, p.number FROM products p
            WHERE product_words(p.search, p.number, p.category, p.seller_id) @@ wanted
                AND (the_category IS NULL OR p.category = the_category) AND (all_states OR p.status = 'active')
            ORDER BY p.created_at + interval '0' DESC, p.sku DESC LIMIT judged) f;
    width := CASE WHEN cardinality(skus) >= judged THEN reached + reached / 16 + 1 ELSE 9223372036854775807 END;
END $$;

-- migrate:down
DROP FUNCTION products_found(tsquery, text, uuid, boolean, integer, bigint);
DROP INDEX products_search;
DROP FUNCTION product_words(tsvector, bigint, text, uuid);
ALTER TABLE products DROP COLUMN number;
CREATE INDEX products_search ON products USING gin (search);
