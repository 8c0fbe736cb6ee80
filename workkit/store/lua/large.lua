-- Find large jobs in a part of a queue or a sorted set; read-only.
--
-- KEYS[1]  list or zset
--
-- ARGV[1]  "list" or "zset"   ARGV[2] position or rank to begin at
-- ARGV[3]  size in bytes from which a job is large
--
-- Returns {how many jobs it looked at, size, beginning, size, beginning, ...}, with the first 400
-- bytes of each large job. One call looks at a bounded number of jobs and of bytes. The first
-- element is 0 behind the end.

local READS = {list = 'LRANGE', zset = 'ZRANGE'}
local first, looked, bytes, reply = tonumber(ARGV[2]), 0, 0, {0}
while looked < 2000 and bytes < 16777216 do
  local jobs = redis.call(READS[ARGV[1]], KEYS[1], first + looked, first + looked + 19)
  for _, job in ipairs(jobs) do
    bytes = bytes + #job
    if #job >= tonumber(ARGV[3]) then
      reply[#reply + 1], reply[#reply + 2] = #job, string.sub(job, 1, 400)
    end
  end
  looked = looked + #jobs
  if #jobs < 20 then break end
end
reply[1] = looked
return reply
