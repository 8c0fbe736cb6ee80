-- Read the members of a sorted set that follow a given one, whether or not it is still there.
--
-- KEYS[1]  retry, scheduled or dead   zset
--
-- ARGV[1]  the member   ARGV[2] its score   ARGV[3] how many at most   ARGV[4] "1" to go backwards
-- ARGV[5]  bytes at which it stops
--
-- Returns {how many the set holds, member, score, member, score, ...}. It writes nothing.
--
-- Members may come and go between two pages, so a rank does not tell where a reader was; a member
-- and its score do. Members with the same score are sorted by their bytes, so the script finds the
-- place of a member that is gone.

local set, member, score = KEYS[1], ARGV[1], ARGV[2]
local back = ARGV[4] == '1'
local total = redis.call('ZCARD', set)

local at = redis.call('ZRANK', set, member)
local first
if at then
  first = back and total - at or at + 1
else
  local low = redis.call('ZCOUNT', set, '-inf', '(' .. score)
  local high = low + redis.call('ZCOUNT', set, score, score)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', set, middle, middle)[1] < member then low = middle + 1 else high = middle end
  end
  first = back and total - low or low
end

local command = back and 'ZREVRANGE' or 'ZRANGE'
local reply, read, bytes = {total}, 0, 0
local most, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[5])
while read < most and bytes < most_bytes do
  local count = math.min(most - read, 20)
  local rows = redis.call(command, set, first + read, first + read + count - 1, 'WITHSCORES')
  for i = 1, #rows, 2 do
    reply[#reply + 1], reply[#reply + 2] = rows[i], rows[i + 1]
    read, bytes = read + 1, bytes + #rows[i]
    if bytes >= most_bytes then break end
  end
  if #rows < 2 * count then break end
end
return reply
