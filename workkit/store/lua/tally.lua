-- Count one queue's lock at one moment; read-only.
--
-- KEYS[1]  lock   KEYS[2] lock_info   then the in-progress list of each pool
--
-- Returns {"ok", lock or "0", fields and values of lock_info, length of each list}, or {"type"} if
-- one of the keys has a wrong type.

local lock = redis.pcall('GET', KEYS[1])
local info = redis.pcall('HGETALL', KEYS[2])
if type(lock) == 'table' or info.err then return {'type'} end
local lengths = {}
for k = 3, #KEYS do
  local length = redis.pcall('LLEN', KEYS[k])
  if type(length) == 'table' then return {'type'} end
  lengths[#lengths + 1] = length
end
return {'ok', lock or '0', info, lengths}
