-- Put a job into the scheduled set.
--
-- KEYS[1]  known_jobs   set
-- KEYS[2]  scheduled    zset
-- ARGV[1]  name   ARGV[2] when it is due, epoch s   ARGV[3] job
--
-- Returns 1.

redis.call('SADD', KEYS[1], ARGV[1])
return redis.call('ZADD', KEYS[2], ARGV[2], ARGV[3])
