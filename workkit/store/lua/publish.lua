-- Publish what the typed tasks of a pool take.
--
-- KEYS[1]  signatures:DIGEST   hash; the digest is that of its contents
--
-- ARGV[1]  for how long it is kept, s   then pairs of job name and signature
--
-- Returns 1, or 0 if the key has a wrong type. Heartbeats keep it from expiring.

-- A full server allows the first write, so that a pool can register there and drain it.
if type(redis.pcall('HDEL', KEYS[1], '')) ~= 'number' then return 0 end
for from = 2, #ARGV, 1000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, from, math.min(from + 999, #ARGV)))
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
