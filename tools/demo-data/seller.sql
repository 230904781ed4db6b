-- Demo shops: 8 sellers, 12 categories, 252 products of 84 kinds in 3 variants each, and two that
-- tests and demos ask for by name: LAST-UNIT-1 (one left) and SOLD-OUT-1 (none). The same at every load.

INSERT INTO sellers (id, name, description, created_at, updated_at)
SELECT ('01900000-0000-7000-8000-0000000000' || lpad(n::text, 2, '0'))::uuid, name, description,
    '2026-01-05 08:00:00+00', '2026-01-05 08:00:00+00'
FROM (VALUES
    (1, 'Harbor Electronics', 'Sound, screens and everything with a plug.'),
    (2, 'Maple & Stone', 'Quiet things for a warm house and a good kitchen.'),
    (3, 'Juniper Outdoor', 'Gear for trails, lakes and gyms, tested by us.'),
    (4, 'Paperlane Books', 'An independent bookshop with opinions.'),
    (5, 'Fieldcraft Tools', 'Tools that outlast their owners, spare parts included.'),
    (6, 'Little Acorn', 'Toys that survive childhood.'),
    (7, 'Saffron & Sage', 'Pantry staples and gentle care, in small batches.'),
    (8, 'Thread & Tailor', 'Everyday clothing, mended free of charge.')
) AS s (n, name, description);

CREATE TEMPORARY TABLE shelf (
    position integer, prefix text, category text, seller integer, variants text[], factors numeric[]
) ON COMMIT DROP;
INSERT INTO shelf VALUES
    (1, 'ELE', 'electronics', 1, '{Lite,Classic,Pro}', '{0.7,1,1.6}'),
    (2, 'COM', 'computers', 1, '{Compact,Standard,Studio}', '{0.75,1,1.5}'),
    (3, 'HOM', 'home', 2, '{Sand,Forest Green,Charcoal}', '{1,1,1.05}'),
    (4, 'KIT', 'kitchen', 2, '{Small,Medium,Large}', '{0.7,1,1.35}'),
    (5, 'OUT', 'outdoor', 3, '{Trail,Ridge,Summit}', '{0.8,1,1.45}'),
    (6, 'SPO', 'sports', 3, '{Starter,Club,Competition}', '{0.7,1,1.7}'),
    (7, 'BOO', 'books', 4, '{Paperback,Hardcover,Audiobook}', '{1,1.7,1.4}'),
    (8, 'TOO', 'tools', 5, '{Home,Workshop,Site}', '{0.75,1,1.5}'),
    (9, 'TOY', 'toys', 6, '{Mini,Family,Deluxe}', '{0.6,1,1.6}'),
    (10, 'GRO', 'groceries', 7, '{Single,Pack of 3,Pack of 6}', '{1,2.7,5}'),
    (11, 'BEA', 'beauty', 7, '{Travel Size,Regular,Refill}', '{0.5,1,0.85}'),
    (12, 'CLO', 'clothing', 8, '{Black,Navy,Oatmeal}', '{1,1,1}');

CREATE TEMPORARY TABLE kind (
    prefix text, number integer, name text, price numeric, description text
) ON COMMIT DROP;
INSERT INTO kind VALUES
    ('ELE', 1, 'Wireless Headphones', 129, 'Over-ear headphones with noise cancelling and 30 hours of battery.'),
    ('ELE', 2, 'Bluetooth Speaker', 79, 'A rainproof speaker that fills a garden and floats in the pool.'),
    ('ELE', 3, 'Smart Watch', 219, 'Heart rate, routes and messages on a screen readable in sunlight.'),
    ('ELE', 4, 'Portable Projector', 349, 'A cinema for any white wall, with speakers built in.'),
    ('ELE', 5, 'Digital Radio', 89, 'DAB+ and internet radio in a wooden case with real knobs.'),
    ('ELE', 6, 'Action Camera', 259, 'Steady 4K video on bikes, boards and boats, waterproof to 10 metres.'),
    ('ELE', 7, 'Power Bank', 49, '20,000 mAh with two USB-C ports; charges a laptop once, a phone four times.'),
    ('COM', 1, 'Mechanical Keyboard', 119, 'Hot-swappable switches, a full metal frame and a detachable cable.'),
    ('COM', 2, 'Ergonomic Mouse', 59, 'A vertical mouse that rests the wrist; wireless with a silent click.'),
    ('COM', 3, '4K Monitor', 429, 'A matte panel with true colours, USB-C charging and a height-adjustable stand.'),
    ('COM', 4, 'USB-C Docking Station', 159, 'Two displays, network, card reader and 90 W of charging over one cable.'),
    ('COM', 5, 'External SSD', 139, 'A drive of 2 TB that writes 1,000 MB per second and survives a fall.'),
    ('COM', 6, 'Webcam', 89, 'Sharp in dim rooms, with a privacy shutter and two microphones.'),
    ('COM', 7, 'Laptop', 599, 'Fourteen inches, twelve hours of battery, memory you can replace yourself.'),
    ('HOM', 1, 'Linen Duvet Cover', 98, 'Stone-washed European linen that softens with every wash.'),
    ('HOM', 2, 'Wool Throw Blanket', 74, 'Woven from recycled wool, for sofas and long evenings.'),
    ('HOM', 3, 'Ceramic Table Lamp', 86, 'A hand-glazed base with a cotton shade and warm light.'),
    ('HOM', 4, 'Scented Candle', 24, 'Cedar and fig in soy wax; burns for 45 hours.'),
    ('HOM', 5, 'Storage Basket', 32, 'Braided seagrass with leather handles.'),
    ('HOM', 6, 'Wall Clock', 48, 'A silent movement behind a plain face of ash wood.'),
    ('HOM', 7, 'Velvet Cushion', 29, 'A feather-filled cushion with a hidden zip.'),
    ('KIT', 1, 'Cast Iron Skillet', 45, 'Pre-seasoned, for stove, oven and open fire.'),
    ('KIT', 2, 'Chef Knife', 89, 'A forged blade of carbon steel with a walnut handle.'),
    ('KIT', 3, 'Enamel Dutch Oven', 149, 'Bread, stews and roasts in one heavy pot.'),
    ('KIT', 4, 'Glass Storage Set', 36, 'Oven-proof containers with lids that really close.'),
    ('KIT', 5, 'French Press', 39, 'Double-walled steel keeps four cups of coffee hot.'),
    ('KIT', 6, 'Oak Cutting Board', 42, 'End grain with a juice groove, oiled by hand.'),
    ('KIT', 7, 'Mixing Bowl', 27, 'Stoneware with a spout and a grip for the thumb.'),
    ('OUT', 1, 'Hiking Backpack', 139, 'A ventilated back, rain cover and pockets where hands find them.'),
    ('OUT', 2, 'Two-Person Tent', 289, 'Stands in four minutes and through a storm; 1.9 kg.'),
    ('OUT', 3, 'Down Sleeping Bag', 229, 'Responsibly sourced down, comfortable to -5 °C.'),
    ('OUT', 4, 'Camping Stove', 64, 'Boils a litre in three minutes and folds into a fist.'),
    ('OUT', 5, 'Headlamp', 39, 'Bright, rechargeable, with a red light for the map.'),
    ('OUT', 6, 'Insulated Bottle', 34, 'Cold for a day, hot for half of one.'),
    ('OUT', 7, 'Trekking Poles', 79, 'Carbon poles with cork grips that adjust with gloves on.'),
    ('SPO', 1, 'Yoga Mat', 48, 'Natural rubber that does not slip, with alignment marks.'),
    ('SPO', 2, 'Kettlebell', 59, 'One piece of cast iron with a smooth handle.'),
    ('SPO', 3, 'Tennis Racket', 129, 'A balanced frame, strung and ready to play.'),
    ('SPO', 4, 'Football', 32, 'Hand-stitched, for grass and hall.'),
    ('SPO', 5, 'Cycling Helmet', 84, 'Light, well ventilated, with protection against rotation.'),
    ('SPO', 6, 'Swim Goggles', 22, 'Anti-fog lenses and a strap that stays.'),
    ('SPO', 7, 'Rowing Machine', 529, 'A quiet water rower of ash wood that stores upright.'),
    ('BOO', 1, 'The Lighthouse Ledger', 14, 'A novel about an island, an accountant and a missing ship.'),
    ('BOO', 2, 'A Field Guide to City Birds', 18, 'Eighty birds to know from your window, with their songs.'),
    ('BOO', 3, 'Bread in Five Seasons', 22, 'Sixty loaves and the patience they need.'),
    ('BOO', 4, 'Letters from the Night Train', 13, 'Stories of people who meet between two cities.'),
    ('BOO', 5, 'The Patient Gardener', 19, 'A year in a small garden, month by month.'),
    ('BOO', 6, 'Distributed Systems at Breakfast', 34, 'Queues, clocks and consensus, explained over coffee.'),
    ('BOO', 7, 'The Cartographer''s Daughter', 15, 'A history of maps, told through one family.'),
    ('TOO', 1, 'Cordless Drill', 129, 'A brushless motor, two batteries and a case.'),
    ('TOO', 2, 'Socket Wrench Set', 79, 'Chrome vanadium, metric and imperial, each in its place.'),
    ('TOO', 3, 'Japanese Pull Saw', 44, 'Cuts on the pull, with a blade for grain and one across it.'),
    ('TOO', 4, 'Tool Box', 58, 'Folded steel that opens in three tiers.'),
    ('TOO', 5, 'Laser Level', 99, 'Two green lines that find level by themselves.'),
    ('TOO', 6, 'Claw Hammer', 29, 'Forged in one piece with a shock-absorbing grip.'),
    ('TOO', 7, 'Work Gloves', 17, 'Goatskin palms, breathable backs.'),
    ('TOY', 1, 'Wooden Train Set', 69, 'Tracks, bridges and a steam engine of beech wood.'),
    ('TOY', 2, 'Building Blocks', 39, 'Solid maple blocks in a canvas bag.'),
    ('TOY', 3, 'Jigsaw Puzzle', 19, 'A thousand pieces of a busy harbour town.'),
    ('TOY', 4, 'Plush Bear', 24, 'Soft, washable and a good listener.'),
    ('TOY', 5, 'Science Kit', 45, 'Forty experiments with magnets, water and light.'),
    ('TOY', 6, 'Board Game: Harbour Lords', 42, 'Trade, weather and bad luck for two to five players.'),
    ('TOY', 7, 'Kite', 26, 'Flies in light wind, packs into a sleeve.'),
    ('GRO', 1, 'Olive Oil', 16, 'Cold-pressed from one grove in Crete; 500 ml.'),
    ('GRO', 2, 'Wildflower Honey', 11, 'Unfiltered, from meadows above 900 metres.'),
    ('GRO', 3, 'Espresso Beans', 15, 'A dark roast with cocoa and walnut; 500 g.'),
    ('GRO', 4, 'Green Tea', 9, 'First-flush leaves in a resealable tin.'),
    ('GRO', 5, 'Dark Chocolate', 5, '72 % cocoa with a pinch of sea salt.'),
    ('GRO', 6, 'Spelt Pasta', 4, 'Dried slowly, rough enough to hold the sauce.'),
    ('GRO', 7, 'Smoked Paprika', 7, 'Sweet pimentón, smoked over oak.'),
    ('BEA', 1, 'Hand Cream', 14, 'Shea butter and calendula, absorbed in a minute.'),
    ('BEA', 2, 'Shampoo', 16, 'Mild, without perfume, for every day.'),
    ('BEA', 3, 'Face Serum', 38, 'Hyaluronic acid and nothing you cannot pronounce.'),
    ('BEA', 4, 'Sunscreen', 22, 'Mineral protection, SPF 50, safe for reefs.'),
    ('BEA', 5, 'Beard Oil', 19, 'Jojoba and cedarwood in a dropper bottle.'),
    ('BEA', 6, 'Bath Salts', 17, 'Sea salt with lavender and rosemary.'),
    ('BEA', 7, 'Lip Balm', 8, 'Beeswax and almond oil in a tin.'),
    ('CLO', 1, 'Organic Cotton T-Shirt', 29, 'Heavy cotton that keeps its shape.'),
    ('CLO', 2, 'Merino Sweater', 98, 'Fine merino wool, knitted in one piece.'),
    ('CLO', 3, 'Rain Jacket', 149, 'Taped seams, a hood that turns with the head.'),
    ('CLO', 4, 'Denim Jeans', 89, 'Straight cut, 13 oz denim, repaired free of charge.'),
    ('CLO', 5, 'Wool Socks', 16, 'Cushioned where shoes press.'),
    ('CLO', 6, 'Linen Shirt', 69, 'Airy linen with buttons of shell.'),
    ('CLO', 7, 'Canvas Sneakers', 74, 'A sole that can be replaced.');

-- SKU: prefix, kind, variant: ELE-011 are the lite wireless headphones. Prices end in 99 cents; every
-- 29th product is low on stock.
CREATE TEMPORARY TABLE demo ON COMMIT DROP AS
SELECT format('%s-0%s%s', s.prefix, k.number, v.n) AS sku,
    ('01900000-0000-7000-8000-0000000000' || lpad(s.seller::text, 2, '0'))::uuid AS seller_id,
    k.name || ', ' || v.name AS name, k.description, s.category,
    greatest(300, round(k.price * s.factors[v.n]) * 100 - 1)::bigint AS price,
    CASE WHEN r.rank % 29 = 0 THEN 2 + r.rank % 4 ELSE 20 + (r.rank * 37) % 481 END AS stock,
    '2026-01-06 09:00:00+00'::timestamptz + r.rank * interval '7 hours' AS created_at
FROM shelf s JOIN kind k USING (prefix), unnest(s.variants) WITH ORDINALITY AS v (name, n),
    LATERAL (SELECT ((k.number - 1) * 36 + (v.n - 1) * 12 + s.position)::bigint AS rank) r
UNION ALL VALUES
    ('LAST-UNIT-1', '01900000-0000-7000-8000-000000000001'::uuid, 'Vintage Turntable, last one',
        'Restored belt-drive turntable of 1978. There is exactly one.', 'electronics', 24900, 1,
        '2026-04-01 09:00:00+00'::timestamptz),
    ('SOLD-OUT-1', '01900000-0000-7000-8000-000000000002'::uuid, 'Hand-Thrown Teapot',
        'A stoneware teapot of the winter kiln. Sold out until the next firing.', 'kitchen', 6400, 0,
        '2026-04-01 10:00:00+00'::timestamptz);

INSERT INTO products (sku, seller_id, name, description, category, price, currency, created_at, updated_at)
SELECT sku, seller_id, name, description, category, price, 'USD', created_at, created_at
FROM demo ORDER BY created_at, sku;

-- What is low from the start has been told already.
INSERT INTO stock (sku, available, threshold, alerted, updated_at)
SELECT sku, stock, CASE WHEN sku IN ('LAST-UNIT-1', 'SOLD-OUT-1') THEN 0 ELSE 5 END,
    stock <= CASE WHEN sku IN ('LAST-UNIT-1', 'SOLD-OUT-1') THEN 0 ELSE 5 END, created_at
FROM demo;

INSERT INTO stock_movements (sku, kind, available, reason, correlation_id, at)
SELECT sku, 'initial', stock, 'opening stock', 'demo-data', created_at
FROM demo WHERE stock > 0 ORDER BY created_at, sku;
