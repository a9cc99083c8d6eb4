\set id random(1, 1000)
UPDATE bench_counters SET value = value + 1 WHERE id = :id;
