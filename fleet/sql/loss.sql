-- Hosts with loss: where the monitor could not book all time, and what to do about it.
SELECT host,
       SUM(untracked_ns) AS untracked_ns,
       SUM(unseen_ns) AS unseen_ns,
       SUM(map_full) AS map_full,
       SUM(groups_full) AS groups_full,
       CAST(FLOOR(1e6 * SUM(untracked_ns) / SUM(wall_ns)) AS BIGINT) AS untracked_ppm,
       CASE WHEN SUM(map_full) > 0 THEN 'load --max-tasks with a larger number'
            WHEN SUM(unseen_ns) > 0 THEN 'the kernel hides switches: docs/troubleshooting.md'
            ELSE 'see tombola status' END AS remedy
FROM log
WHERE level = 'machine'
GROUP BY host
HAVING SUM(untracked_ns) + SUM(unseen_ns) + SUM(map_full) + SUM(groups_full) > 0
ORDER BY untracked_ns DESC, unseen_ns DESC, host
LIMIT 100
