-- Weights that do nothing: groups with a weight of their own that never waited long enough for it to matter, on any host.
SELECT name, weight,
       COUNT(DISTINCT host) AS hosts,
       SUM(run_ns) AS run_ns,
       SUM(wait_contention_ns) AS contention_ns
FROM log
WHERE level = 'group' AND weight <> 1024 AND run_ns > 0
GROUP BY name, weight
HAVING SUM(wait_contention_ns) * 100 < SUM(run_ns)
ORDER BY run_ns DESC, name NULLS LAST, weight
LIMIT 50
