-- Ask a pool for the stack of a handler.
--
-- KEYS[1]  worker_pools:ID   hash
--
-- ARGV[1]  job id   ARGV[2] the most jobs that a pool is asked for at once
--
-- Returns 1; 0 if the pool is not registered or is a Go pool; or -1 if it is asked for too many.
-- The pool reads and removes the field `asked` with its next heartbeat: job ids, a line each.

local found = redis.pcall('HMGET', KEYS[1], 'fence', 'asked')
if not found[1] then return 0 end
local asked, count = found[2] or '', 0
for id in string.gmatch(asked, '[^\n]+') do
  if id == ARGV[1] then return 1 end
  count = count + 1
end
if count >= tonumber(ARGV[2]) then return -1 end
redis.call('HSET', KEYS[1], 'asked', asked .. ARGV[1] .. '\n')
return 1
