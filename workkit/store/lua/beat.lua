-- Write a pool's heartbeat, write its limits again, keep its signatures, and take what it is asked.
--
-- KEYS[1]  worker_pools:ID   hash
-- KEYS[2]  limits            hash
-- then one max_concurrency key a limit
-- then, if the pool publishes signatures, signatures:DIGEST (hash)
--
-- ARGV[1] for how long signatures are kept, s
-- ARGV[2] number of limits N   then N times: job name, limit
-- then field and value pairs of the heartbeat
--
-- Returns {1, 1 if its signatures are gone, so that it publishes them again, the ids of jobs for
-- whose stacks it is asked, a line each}; or {0} if the heartbeat is gone: the pool was reaped or the server lost its data. Then
-- the script writes nothing: a reaped pool must not come back under its id. (If only its id was
-- removed from the set of pools, the pool's own reaper notices that.)

local found = redis.pcall('HMGET', KEYS[1], 'fence', 'asked')
if not found[1] then return {0} end
local limits = tonumber(ARGV[2])
redis.call('HDEL', KEYS[1], found[2] and 'asked' or 'unregistered')
for i = 1, limits do
  -- Written only where it differs: idle pools are woken by every write.
  if redis.pcall('GET', KEYS[2 + i]) ~= ARGV[2 + 2 * i] then
    redis.call('SET', KEYS[2 + i], ARGV[2 + 2 * i])
  end
end
local last = 2 + 2 * limits
for from = 3, last, 1000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, from, math.min(from + 999, last)))
end
for from = last + 1, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
local gone = KEYS[3 + limits] and redis.call('EXPIRE', KEYS[3 + limits], ARGV[1]) == 0
return {1, gone and 1 or 0, found[2] or ''}
