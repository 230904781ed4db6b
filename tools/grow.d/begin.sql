-- What is said of the grown data in every database alike: who buys what, when, and how it ends, all of it computed from an order's or
-- a product's number. So seven databases agree without ever looking into each other. Gone again when the data is there.
-- Bodies without quotes: psql puts its variables in, and the planner can put them into a statement.
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS grow CASCADE;
CREATE SCHEMA grow;

-- Between 0 and 1, the same at every call.
CREATE FUNCTION grow.chance(n bigint, seed bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE
    RETURN (hashint8extended(n, seed) & 2147483647) / 2147483648.0::float8;
-- Ids that sort by age, as UUIDv7 do.
CREATE FUNCTION grow.id(kind integer, n bigint, second float8) RETURNS uuid IMMUTABLE PARALLEL SAFE
    RETURN (lpad(to_hex((second * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid;
CREATE FUNCTION grow.user_id(u bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE
    RETURN ('01900000-0000-7000-9000-' || lpad(u::text, 12, '0'))::uuid;
CREATE FUNCTION grow.seller_id(s bigint) RETURNS uuid IMMUTABLE PARALLEL SAFE
    RETURN ('01900000-0000-7000-9001-' || lpad(s::text, 12, '0'))::uuid;

-- Orders are spread over two years, the last one a day ago.
CREATE FUNCTION grow.sold_at(n bigint) RETURNS float8 IMMUTABLE PARALLEL SAFE
    RETURN :now - 86400 - (:orders - n) * (729 * 86400.0::float8 / :orders);
-- The first user has a thousand orders, whatever their number; the others have what chance gives them.
CREATE FUNCTION grow.buyer(n bigint) RETURNS bigint IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN n % greatest(1, :orders / 1000) = 0 THEN 1 ELSE 2 + floor(grow.chance(n, 1) * (:users - 1))::bigint END;
-- Of the last two days nothing is delivered yet; every 25th is cancelled.
CREATE FUNCTION grow.ending(n bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN n % 25 = 7 THEN 'cancelled' WHEN grow.sold_at(n) > :now - 3 * 86400 THEN 'confirmed' ELSE 'completed' END;
CREATE FUNCTION grow.lines(n bigint) RETURNS integer IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN grow.chance(n, 2) < 0.7 THEN 1 WHEN grow.chance(n, 2) < 0.9 THEN 2 ELSE 3 END;
-- What stands in line k: numbers that leave k when divided by three, so that no product is there twice. Some sell much
-- better than others: the first hundredth of the catalogue is a fifth of the sales.
CREATE FUNCTION grow.product(n bigint, k integer) RETURNS bigint IMMUTABLE PARALLEL SAFE
    RETURN 3 * floor(power(grow.chance(n, 10 + k), 3) * (:products / 3))::bigint + k;
CREATE FUNCTION grow.quantity(n bigint, k integer) RETURNS bigint IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN grow.chance(n, 20 + k) < 0.8 THEN 1 ELSE 2 END;

CREATE FUNCTION grow.sku(p bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN 'GROWN-' || lpad(p::text, 8, '0');
CREATE FUNCTION grow.seller(p bigint) RETURNS bigint IMMUTABLE PARALLEL SAFE RETURN p % :sellers;
CREATE FUNCTION grow.price(p bigint) RETURNS bigint IMMUTABLE PARALLEL SAFE RETURN 499 + p * 7919 % 200 * 100;
CREATE FUNCTION grow.syllable(s bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN substr('bcdfghjklmnprstvwxyz', 1 + (s / 5 % 20)::integer, 1) || substr('aeiou', 1 + (s % 5)::integer, 1);
-- Forty products of each brand.
CREATE FUNCTION grow.brand(p bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN initcap(grow.syllable(p / 40) || grow.syllable(p / 4000 + 37) || grow.syllable(p / 400000 * 3 + p / 40 * 7) || 'x');
CREATE FUNCTION grow.noun(p bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN (ARRAY['lamp', 'chair', 'table', 'kettle', 'blanket', 'backpack', 'tent', 'drill', 'hammer', 'speaker', 'keyboard',
        'monitor', 'bottle', 'jacket', 'sweater', 'shirt', 'sneakers', 'racket', 'helmet', 'puzzle', 'train', 'kite', 'honey', 'tea',
        'coffee', 'chocolate', 'soap', 'shampoo', 'candle', 'cushion', 'basket', 'clock', 'skillet', 'knife', 'bowl', 'board',
        'projector', 'radio', 'camera', 'watch', 'mouse', 'webcam', 'stove', 'headlamp', 'poles', 'mat', 'football', 'goggles',
        'novel', 'cookbook', 'atlas', 'wrench', 'saw', 'toolbox', 'gloves', 'bear', 'blocks', 'pasta', 'oil', 'mirror'])[1 + p % 60];
CREATE FUNCTION grow.name(p bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN grow.brand(p) || ' ' || (ARRAY['Classic', 'Modern', 'Compact', 'Studio', 'Trail', 'Family', 'Pocket', 'Garden', 'Winter',
        'Summer', 'Quiet', 'Bright', 'Heavy', 'Light', 'Double', 'Round'])[1 + p / 60 % 16] || ' ' ||
        (ARRAY['Oak', 'Steel', 'Linen', 'Wool', 'Copper', 'Glass', 'Bamboo', 'Leather', 'Cotton', 'Stone'])[1 + p / 7 % 10] || ' ' ||
        initcap(grow.noun(p)) || ' ' || p;
CREATE FUNCTION grow.category(p bigint) RETURNS text IMMUTABLE PARALLEL SAFE
    RETURN (ARRAY['electronics', 'computers', 'home', 'kitchen', 'outdoor', 'sports', 'books', 'tools', 'toys', 'groceries', 'beauty',
        'clothing'])[1 + p % 12];
