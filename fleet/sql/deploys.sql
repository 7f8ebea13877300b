-- Before and after a deploy: pods of the same namespace and container, the oldest first, with what a second of running cost in waiting.
SELECT namespace, container, pod,
       MIN(ts_ns) AS first_ts_ns,
       COUNT(DISTINCT host) AS hosts,
       SUM(run_ns) AS run_ns,
       CAST(FLOOR(1e3 * SUM(wait_ns) / SUM(run_ns)) AS BIGINT) AS wait_ms_per_run_s,
       CAST(FLOOR(1e3 * SUM(lag_ns) / SUM(run_ns)) AS BIGINT) AS owed_ms_per_run_s
FROM log
WHERE level = 'group' AND pod IS NOT NULL AND run_ns > 0
GROUP BY namespace, container, pod
ORDER BY namespace NULLS LAST, container NULLS LAST, first_ts_ns, pod
LIMIT 200
