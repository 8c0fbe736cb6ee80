-- Say that a pool is alive, and restate its limits.
--
-- KEYS[1]  worker_pools      set
-- KEYS[2]  worker_pools:ID   hash
-- KEYS[3]  limits            hash
-- then one max_concurrency key a limit
--
-- ARGV[1]  pool id   ARGV[2] number of limits N   then N times: job name, limit
-- then field and value pairs of the heartbeat
--
-- Returns 1, or 0 if the pool is not registered: it was reaped or the server lost its data. Then
-- nothing is written: a reaped pool must not come back under its id.

if redis.call('HEXISTS', KEYS[2], 'fence') == 0 or redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 0 then
  return 0
end
local limits = tonumber(ARGV[2])
redis.call('HDEL', KEYS[2], 'unregistered')
for i = 1, limits do
  -- Written only where it differs: idle pools are woken by every write.
  if redis.pcall('GET', KEYS[3 + i]) ~= ARGV[2 + 2 * i] then
    redis.call('SET', KEYS[3 + i], ARGV[2 + 2 * i])
  end
  redis.call('HSET', KEYS[3], ARGV[1 + 2 * i], ARGV[2 + 2 * i])
end
redis.call('HSET', KEYS[2], unpack(ARGV, 3 + 2 * limits))
return 1
