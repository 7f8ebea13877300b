-- Noisy neighbours: groups that had more than was due to them in intervals in which another group of their host was owed time.
WITH of_group AS (
    SELECT host, ts_ns, name, SUM(lag_ns) AS lag_ns
    FROM log WHERE level = 'group' AND entitled_ns IS NOT NULL GROUP BY host, ts_ns, name
), owed AS (
    SELECT host, ts_ns, SUM(lag_ns) AS owed_ns FROM of_group WHERE lag_ns > 0 GROUP BY host, ts_ns
)
SELECT of_group.name,
       COUNT(DISTINCT of_group.host) AS hosts,
       COUNT(*) AS intervals,
       SUM(-of_group.lag_ns) AS ahead_ns
FROM of_group JOIN owed ON of_group.host = owed.host AND of_group.ts_ns = owed.ts_ns
WHERE of_group.lag_ns < 0 AND owed.owed_ns > 100000000
GROUP BY of_group.name
ORDER BY ahead_ns DESC, of_group.name NULLS LAST
LIMIT 50
