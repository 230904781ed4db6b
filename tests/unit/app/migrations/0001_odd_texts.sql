-- migrate:up
CREATE TABLE odd (n int, text text);
INSERT INTO odd VALUES (1, 'a"b\n	''c'' ??= %s äöü €
second line');

-- migrate:down
DROP TABLE odd;
