-- Register a pool in the namespace.
--
-- KEYS[1]  worker_pools      set
-- KEYS[2]  worker_pools:ID   hash
-- KEYS[3]  limits            hash
-- then one max_concurrency key a limit, then known_jobs (set)
--
-- ARGV[1]  pool id   ARGV[2] number of limits N   then N times: job name, limit
-- then the number of job names, the names, and field and value pairs of the heartbeat
--
-- Returns 1. The fence starts at 0; only a registered pool can exchange.

-- A full server allows the first write, so that a pool can register there and drain it.
redis.call('HDEL', KEYS[2], 'unregistered')
redis.call('SADD', KEYS[1], ARGV[1])
local limits = tonumber(ARGV[2])
for i = 1, limits do
  -- Written only where it differs: idle pools are woken by every write.
  if redis.pcall('GET', KEYS[3 + i]) ~= ARGV[2 + 2 * i] then
    redis.call('SET', KEYS[3 + i], ARGV[2 + 2 * i])
  end
  redis.call('HSET', KEYS[3], ARGV[1 + 2 * i], ARGV[2 + 2 * i])
end
local cursor = 3 + 2 * limits
for i = cursor + 1, cursor + tonumber(ARGV[cursor]) do
  redis.call('SADD', KEYS[4 + limits], ARGV[i])
end
cursor = cursor + 1 + tonumber(ARGV[cursor])
redis.call('HSET', KEYS[2], 'fence', '0', 'applied', '0')
for from = cursor, #ARGV, 1000 do
  redis.call('HSET', KEYS[2], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
return 1
