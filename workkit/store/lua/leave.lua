-- Remove a pool that stops from the namespace, unless it still holds jobs.
--
-- KEYS[1]  worker_pools      set
-- KEYS[2]  worker_pools:ID   hash
-- then two a queue: inprogress, lock_info
--
-- ARGV[1]  pool id
--
-- Returns how many jobs the pool still holds. If it holds any, it stays registered, and a reaper
-- recovers them.

local held = 0
for k = 3, #KEYS, 2 do
  local length = redis.pcall('LLEN', KEYS[k])
  if type(length) == 'number' then held = held + length end
end
if held > 0 then return held end
for k = 4, #KEYS, 2 do
  redis.pcall('HDEL', KEYS[k], ARGV[1])
end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 0
