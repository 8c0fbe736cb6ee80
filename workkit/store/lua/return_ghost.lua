-- Put one entry that a pool does not run back to the front of its queue.
--
-- KEYS[1]  jobs:NAME   list   KEYS[2] in-progress list of the pool
-- KEYS[3]  lock   KEYS[4] lock_info
-- ARGV[1]  pool id   ARGV[2] the entry
--
-- Returns 1, or 0 if it is not there any more. The script gives the lock back if the pool's count
-- is then higher than the length of its list. Otherwise the job gave its lock back earlier and left
-- only the entry.

local found = redis.call('TYPE', KEYS[1])['ok']
if found ~= 'list' and found ~= 'none' then return 0 end

-- part: rights

local refusal = refused({
  {'RPUSH', KEYS[1]}, {'HINCRBY', KEYS[4]}, {'DECRBY', KEYS[3]}, {'LLEN', KEYS[2]},
})
if refusal then return refusal end

if redis.call('LREM', KEYS[2], 1, ARGV[2]) == 0 then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
local counted = redis.pcall('HGET', KEYS[4], ARGV[1])
counted = type(counted) == 'string' and tonumber(counted) or 0
if counted > redis.call('LLEN', KEYS[2]) then
  redis.call('HINCRBY', KEYS[4], ARGV[1], -1)
  local left = redis.pcall('DECRBY', KEYS[3], 1)
  if type(left) == 'number' and left < 0 then redis.call('SET', KEYS[3], '0') end
end
return 1
