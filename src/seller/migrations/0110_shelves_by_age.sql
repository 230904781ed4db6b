-- migrate:up
-- A shop's products from the newest on, however many it has.
CREATE INDEX products_of_seller_by_age ON products (seller_id, created_at DESC, sku DESC);

-- migrate:down
DROP INDEX products_of_seller_by_age;
