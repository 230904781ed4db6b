-- Demo accounts (README.md): an admin, eight sellers, twenty shoppers with an address each. All have
-- the password souk-demo-2026; its hash was made once. For demonstrations only.

SET client_encoding = 'UTF8';
CREATE TEMP TABLE demo (kind text, n int, name text, city text, postal_code text, country text);
INSERT INTO demo VALUES
    ('admin', 0, 'Ada Admin', NULL, NULL, NULL),
    ('seller', 1, 'Nadia Haddad', NULL, NULL, NULL),
    ('seller', 2, 'Bruno Keller', NULL, NULL, NULL),
    ('seller', 3, 'Ingrid Solheim', NULL, NULL, NULL),
    ('seller', 4, 'Tomás Ibarra', NULL, NULL, NULL),
    ('seller', 5, 'Mei Lin', NULL, NULL, NULL),
    ('seller', 6, 'Oluwaseun Ade', NULL, NULL, NULL),
    ('seller', 7, 'Claire Fontaine', NULL, NULL, NULL),
    ('seller', 8, 'Marek Nowak', NULL, NULL, NULL),
    ('shopper', 1, 'Anna Berg', 'Hamburg', '20095', 'DE'),
    ('shopper', 2, 'Ben Okafor', 'London', 'E1 6AN', 'GB'),
    ('shopper', 3, 'Carla Russo', 'Milano', '20121', 'IT'),
    ('shopper', 4, 'David Cohen', 'New York', '10003', 'US'),
    ('shopper', 5, 'Elif Yılmaz', 'Istanbul', '34430', 'TR'),
    ('shopper', 6, 'Farid Amrani', 'Casablanca', '20250', 'MA'),
    ('shopper', 7, 'Greta Lund', 'Malmö', '211 20', 'SE'),
    ('shopper', 8, 'Hiro Tanaka', 'Osaka', '530-0001', 'JP'),
    ('shopper', 9, 'Inès Moreau', 'Lyon', '69002', 'FR'),
    ('shopper', 10, 'Jakub Novák', 'Brno', '602 00', 'CZ'),
    ('shopper', 11, 'Katya Petrova', 'Sofia', '1000', 'BG'),
    ('shopper', 12, 'Luis Ortega', 'Valencia', '46001', 'ES'),
    ('shopper', 13, 'Mariam Saleh', 'Cairo', '11511', 'EG'),
    ('shopper', 14, 'Nils de Vries', 'Utrecht', '3511', 'NL'),
    ('shopper', 15, 'Olivia Smith', 'Toronto', 'M5V 2T6', 'CA'),
    ('shopper', 16, 'Priya Nair', 'Kochi', '682001', 'IN'),
    ('shopper', 17, 'Quentin Dubois', 'Liège', '4000', 'BE'),
    ('shopper', 18, 'Rosa Almeida', 'Porto', '4000-008', 'PT'),
    ('shopper', 19, 'Samuel Weiss', 'Zürich', '8001', 'CH'),
    ('shopper', 20, 'Tara O''Brien', 'Cork', 'T12 W8KP', 'IE');

INSERT INTO users (id, email, password_hash, name, roles, created_at, updated_at)
SELECT (CASE kind
        WHEN 'admin' THEN '01900000-0000-7000-8000-000000000aff'
        WHEN 'seller' THEN '01900000-0000-7000-8000-0000000000' || lpad(n::text, 2, '0')
        ELSE '01900000-0000-7000-8000-0000000001' || lpad(n::text, 2, '0') END)::uuid,
    CASE kind WHEN 'admin' THEN 'admin' ELSE kind || n END || '@souk.example',
    '$argon2id$v=19$m=19456,t=2,p=1$onTXRGy/4qVKz2WFV6X0UQ$hxDlYHYSWQvfEu2nLHzY3n1gCLMXuMo9bCLIoq/cqcE',
    name,
    CASE kind WHEN 'admin' THEN '{user,admin}' WHEN 'seller' THEN '{user,seller}' ELSE '{user}' END::text[],
    '2026-01-05 09:00:00+00'::timestamptz + n * interval '1 day',
    '2026-01-05 09:00:00+00'::timestamptz + n * interval '1 day'
FROM demo
ON CONFLICT DO NOTHING;

INSERT INTO addresses (id, user_id, name, line1, city, postal_code, country, created_at, updated_at)
SELECT ('01900000-0000-7000-8000-0000000002' || lpad(n::text, 2, '0'))::uuid,
    ('01900000-0000-7000-8000-0000000001' || lpad(n::text, 2, '0'))::uuid,
    name, n || ' Market Street', city, postal_code, country,
    '2026-01-05 09:05:00+00'::timestamptz + n * interval '1 day',
    '2026-01-05 09:05:00+00'::timestamptz + n * interval '1 day'
FROM demo WHERE kind = 'shopper'
ON CONFLICT DO NOTHING;

DROP TABLE demo;
