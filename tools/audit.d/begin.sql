-- One snapshot of a database, only read. :rest is 0 while the suite is still to come to rest: then only that is asked.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
