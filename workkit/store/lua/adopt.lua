-- Carry over what a pool still runs after it was taken for dead.
--
-- KEYS[1]  worker_pools        set
-- KEYS[2]  worker_pools:OLD    hash
-- then four a queue: inprogress of the old id, inprogress of the new id, lock, lock_info
--
-- ARGV[1]  old pool id   ARGV[2] new pool id
--
-- All that stands in the lists of the old id is carried over, also what was claimed for it and never
-- received: nobody else answers for it, and the resync behind this gives back what is not run.
--
-- Returns the number of the last exchange that was applied under the old id; "" where its heartbeat
-- is gone. (Done a second time after a lost reply it is gone, too.)

local applied = redis.pcall('HGET', KEYS[2], 'applied')
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
for k = 3, #KEYS, 4 do
  local jobs = redis.pcall('LRANGE', KEYS[k], 0, -1)
  local carried = #jobs
  for i = carried, 1, -1 do redis.call('LPUSH', KEYS[k + 1], jobs[i]) end
  if carried > 0 then
    redis.call('DEL', KEYS[k])
    -- What somebody has released in the old name already is taken again in the new one.
    local counted = redis.pcall('HGET', KEYS[k + 3], ARGV[1])
    counted = math.max(type(counted) == 'string' and tonumber(counted) or 0, 0)
    if counted < carried then redis.pcall('INCRBY', KEYS[k + 2], carried - counted) end
    if counted > carried then
      redis.pcall('HSET', KEYS[k + 3], ARGV[1], counted - carried)
    else
      redis.pcall('HDEL', KEYS[k + 3], ARGV[1])
    end
    redis.pcall('HINCRBY', KEYS[k + 3], ARGV[2], carried)
  end
end
return type(applied) == 'string' and applied or ''
