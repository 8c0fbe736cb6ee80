-- Read due jobs of a sorted set, the earliest first; read-only.
--
-- KEYS[1]  retry or scheduled   zset
--
-- ARGV[1]  now, epoch s   ARGV[2] how many to pass over   ARGV[3] how many at most
-- ARGV[4]  bytes at which it stops
--
-- Returns the jobs: at least one, if any is due. Read in small pieces, so that neither the server
-- nor the reader has more in its memory than about so many bytes.

local found, bytes = {}, 0
local most = tonumber(ARGV[3])
while #found < most do
  local count = math.min(most - #found, 20)
  local from = tonumber(ARGV[2]) + #found
  local jobs = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', from, count)
  for _, job in ipairs(jobs) do
    found[#found + 1] = job
    bytes = bytes + #job
    if bytes >= tonumber(ARGV[4]) then return found end
  end
  if #jobs < count then break end
end
return found
