-- The table `log` that the questions ask: the columns of the files, and those that follow from them (docs/schema.md).
SELECT *,
       run_ns - undivided_ns AS received_ns,
       run_ns - undivided_ns + wait_ns - denied_ns AS entitled_ns,
       wait_ns - denied_ns AS lag_ns,
       wait_ns - wait_throttled_ns - wait_other_ns AS wait_contention_ns
FROM files
