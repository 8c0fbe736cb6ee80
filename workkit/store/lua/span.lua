-- Read members of a sorted set by score, the lowest first; read-only.
--
-- KEYS[1]  retry, scheduled or dead   zset
--
-- ARGV[1]  lowest score   ARGV[2] highest score, both as ZRANGEBYSCORE takes them
-- ARGV[3]  how many to skip   ARGV[4] how many at most   ARGV[5] bytes at which it stops
--
-- Returns {member, score, ...}: at least one member, if there is any. It reads small pieces, so
-- that neither the server nor the reader keeps much more than ARGV[5] bytes in memory.

local reply, read, bytes = {}, 0, 0
local most, most_bytes = tonumber(ARGV[4]), tonumber(ARGV[5])
while read < most and bytes < most_bytes do
  local count = math.min(most - read, 20)
  local from = tonumber(ARGV[3]) + read
  local rows = redis.call(
    'ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[2], 'WITHSCORES', 'LIMIT', from, count
  )
  for i = 1, #rows, 2 do
    reply[#reply + 1], reply[#reply + 2] = rows[i], rows[i + 1]
    read, bytes = read + 1, bytes + #rows[i]
    if bytes >= most_bytes then break end
  end
  if #rows < 2 * count then break end
end
return reply
