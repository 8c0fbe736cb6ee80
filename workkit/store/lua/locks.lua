-- Read the locks of many queues, each with its holders at the same moment; read-only.
--
-- KEYS[1]  lock   KEYS[2] lock_info   the same pair for each further queue
--
-- Returns for each queue {lock or "0", fields and values of lock_info}, or {} if one of its keys has
-- a wrong type.

local found = {}
for k = 1, #KEYS, 2 do
  local lock = redis.pcall('GET', KEYS[k])
  local info = redis.pcall('HGETALL', KEYS[k + 1])
  if type(lock) == 'table' or info.err then
    found[#found + 1] = {}
  else
    found[#found + 1] = {lock or '0', info}
  end
end
return found
