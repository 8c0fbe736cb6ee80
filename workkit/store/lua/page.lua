-- Read a page of a queue or a sorted set by position, bounded by number and bytes; read-only.
--
-- KEYS[1]  list or zset
--
-- ARGV[1]  "list" or "zset"   ARGV[2] how many to skip   ARGV[3] how many at most
-- ARGV[4]  bytes at which it stops   ARGV[5] "1" to go backwards
--
-- Returns {how many there are, job, ...} of a list, the next to run first, and {how many there are,
-- member, score, ...} of a set. It reads small pieces, so that neither the server nor the reader
-- keeps much more than ARGV[4] bytes in memory.

local key, back = KEYS[1], ARGV[5] == '1'
local is_list = ARGV[1] == 'list'
local most, most_bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local reply = {redis.call(is_list and 'LLEN' or 'ZCARD', key)}

local function piece(first, count)
  if not is_list then
    local command = back and 'ZREVRANGE' or 'ZRANGE'
    return redis.call(command, key, first, first + count - 1, 'WITHSCORES')
  end
  if back then return redis.call('LRANGE', key, first, first + count - 1) end
  -- Pools claim from the right end of the queue.
  local jobs, turned = redis.call('LRANGE', key, -first - count, -first - 1), {}
  for i = #jobs, 1, -1 do turned[#turned + 1] = jobs[i] end
  return turned
end

local step, read, bytes = is_list and 1 or 2, 0, 0
while read < most and bytes < most_bytes do
  local count = math.min(most - read, 20)
  local rows = piece(tonumber(ARGV[2]) + read, count)
  for i = 1, #rows, step do
    reply[#reply + 1] = rows[i]
    if step == 2 then reply[#reply + 1] = rows[i + 1] end
    read, bytes = read + 1, bytes + #rows[i]
    if bytes >= most_bytes then break end
  end
  if #rows < count * step then break end
end
return reply
