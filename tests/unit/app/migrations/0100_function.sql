-- migrate:up
INSERT INTO odd VALUES (2, $tag$a; "b" \ ' $1$tag$);
CREATE FUNCTION odd_count() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    -- a ; in a comment
    RETURN (SELECT count(*) FROM odd);
END
$$;
