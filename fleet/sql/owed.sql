-- Which hosts owe most CPU time, and to whom: groups by what they were due and did not get.
SELECT host, name,
       SUM(lag_ns) AS owed_ns,
       SUM(entitled_ns) AS entitled_ns,
       CAST(FLOOR(1e3 * SUM(lag_ns) / SUM(entitled_ns)) AS BIGINT) AS owed_permille
FROM log
WHERE level = 'group' AND entitled_ns > 0
GROUP BY host, name
HAVING SUM(lag_ns) > 0
ORDER BY owed_ns DESC, host, name NULLS LAST
LIMIT 50
