-- Write a pool's heartbeat, and write its limits again.
--
-- KEYS[1]  worker_pools:ID   hash
-- KEYS[2]  limits            hash
-- then one max_concurrency key a limit
--
-- ARGV[1] number of limits N   then N times: job name, limit
-- then field and value pairs of the heartbeat
--
-- Returns 1, or 0 if the heartbeat is gone: the pool was reaped or the server lost its data. Then
-- the script writes nothing: a reaped pool must not come back under its id. (If only its id was
-- removed from the set of pools, the pool's own reaper notices that.)

if redis.pcall('HEXISTS', KEYS[1], 'fence') ~= 1 then return 0 end
local limits = tonumber(ARGV[1])
redis.call('HDEL', KEYS[1], 'unregistered')
for i = 1, limits do
  -- Written only where it differs: idle pools are woken by every write.
  if redis.pcall('GET', KEYS[2 + i]) ~= ARGV[1 + 2 * i] then
    redis.call('SET', KEYS[2 + i], ARGV[1 + 2 * i])
  end
end
local last = 1 + 2 * limits
for from = 2, last, 1000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, from, math.min(from + 999, last)))
end
for from = last + 1, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
return 1
