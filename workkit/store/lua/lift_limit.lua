-- Remove a concurrency limit that no live pool declares any more.
--
-- KEYS[1]  limits            hash
-- KEYS[2]  max_concurrency   string
-- ARGV[1]  job name   ARGV[2] limit as workkit wrote it
--
-- Returns 1 if the limit was removed, 0 if another limit has been written since.

local lifted = 0
if redis.call('GET', KEYS[2]) == ARGV[2] then
  redis.call('DEL', KEYS[2])
  lifted = 1
end
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return lifted
