-- Move the jobs that a pool still runs to its new id, after another pool declared it dead.
--
-- KEYS[1]  worker_pools        set
-- KEYS[2]  worker_pools:OLD    hash
-- then four a queue: inprogress of the old id, inprogress of the new id, lock, lock_info
--
-- ARGV[1]  old pool id   ARGV[2] new pool id
--
-- The script moves every entry in the lists of the old id, also claims whose reply was lost: no
-- other pool is responsible for them. The resync that follows gives back the jobs that do not run.
--
-- Returns the number of the last exchange that was applied under the old id; "" if its heartbeat
-- is gone. (It is also gone if this is the second attempt after a lost reply.)

local applied = redis.pcall('HGET', KEYS[2], 'applied')
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
for k = 3, #KEYS, 4 do
  local jobs = redis.pcall('LRANGE', KEYS[k], 0, -1)
  local carried = #jobs
  for i = carried, 1, -1 do redis.call('LPUSH', KEYS[k + 1], jobs[i]) end
  if carried > 0 then
    redis.call('DEL', KEYS[k])
    -- Another pool may have released locks of the old id: take them again for the new id.
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
