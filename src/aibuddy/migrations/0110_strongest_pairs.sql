-- migrate:up
-- An item's pairs from the strongest on, to either side: so many of a bestseller's are never read. The counts are in the indexes,
-- so a pair that is bought again is written to them again.
CREATE INDEX pair_counts_strongest ON pair_counts (sku_a, orders DESC, sku_b);
CREATE INDEX pair_counts_strongest_reverse ON pair_counts (sku_b, orders DESC, sku_a);
DROP INDEX pair_counts_reverse;
ALTER TABLE pair_counts RESET (fillfactor); -- the indexes are touched now, room or not

-- migrate:down
ALTER TABLE pair_counts SET (fillfactor = 70);
CREATE INDEX pair_counts_reverse ON pair_counts (sku_b, sku_a);
DROP INDEX pair_counts_strongest, pair_counts_strongest_reverse;
