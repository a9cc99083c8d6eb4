\set id random(1, 1000)
SELECT value FROM bench_counters WHERE id = :id;
