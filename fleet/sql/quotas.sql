-- Quotas that bind below their mean: groups that were throttled although they used less than four fifths of their limit.
SELECT host, name,
       SUM(throttles) AS throttles,
       SUM(throttled_ns) AS throttled_ns,
       CAST(FLOOR(1e3 * SUM(run_ns) / SUM(1e0 * interval_ns * quota_ns / period_ns)) AS BIGINT) AS used_permille
FROM log
WHERE level = 'group' AND period_ns > 0
GROUP BY host, name
HAVING SUM(throttles) > 0 AND SUM(run_ns) < 8e-1 * SUM(1e0 * interval_ns * quota_ns / period_ns)
ORDER BY throttled_ns DESC, host, name NULLS LAST
LIMIT 50
