-- Carry over what a pool still runs after it was taken for dead.
--
-- KEYS[1]  worker_pools        set
-- KEYS[2]  worker_pools:OLD    hash
-- then four a queue: inprogress of the old id, inprogress of the new id, lock, lock_info
--
-- ARGV[1]  old pool id   ARGV[2] new pool id
-- then a queue: number of jobs, then their bytes
--
-- Returns a string with one "1" or "0" a job: whether nobody else had taken it.

redis.call('SREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
local bits, cursor = {}, 3
for k = 3, #KEYS, 4 do
  local carried = 0
  local n = tonumber(ARGV[cursor])
  for i = cursor + 1, cursor + n do
    if redis.pcall('LREM', KEYS[k], -1, ARGV[i]) == 1 then
      redis.call('LPUSH', KEYS[k + 1], ARGV[i])
      carried = carried + 1
      bits[#bits + 1] = '1'
    else
      bits[#bits + 1] = '0'
    end
  end
  cursor = cursor + n + 1
  if carried > 0 then
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
return table.concat(bits)
