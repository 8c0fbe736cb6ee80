-- Take jobs that were revived, and have not begun, back to the set where they were.
--
-- KEYS[1]  trashed:OP  list
-- KEYS[2]  dead, retry or scheduled  zset
-- KEYS[3..2+Q]  the queues (lists) or sorted sets that they went to
-- then unique keys
--
-- ARGV[1]  number of queues Q
-- ARGV[2..1+Q]  "list" or "zset", the type of each
-- then a job, six each: entry of the trash, its score, its bytes, the bytes that were put into the
-- queue, index of its queue (1-based), index of the unique key that it took (1-based; 0: none)
--
-- Returns a string, one character a job: "1" it is back, "0" it is not in its queue any more: it
-- has begun, or was deleted. Its entry leaves the trash in both cases. "t" alone: KEYS[2] has
-- a wrong type, and nothing was done.

local found = redis.call('TYPE', KEYS[2])['ok']
if found ~= 'none' and found ~= 'zset' then return 't' end

-- part: rights

local queue_count = tonumber(ARGV[1])
local needed = {{'ZADD', KEYS[2]}}
for q = 1, queue_count do
  needed[#needed + 1] = {ARGV[1 + q] == 'list' and 'LREM' or 'ZREM', KEYS[2 + q]}
end
if KEYS[3 + queue_count] then needed[#needed + 1] = {'DEL', KEYS[3 + queue_count]} end
local refusal = refused(needed)
if refusal then return refusal end

local bits = {}
for at = 2 + queue_count, #ARGV, 6 do
  local queue, key = tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local taken = 0
  if redis.call('LREM', KEYS[1], -1, ARGV[at]) == 1 then
    if ARGV[1 + queue] == 'list' then
      taken = redis.pcall('LREM', KEYS[2 + queue], 1, ARGV[at + 3])
    else
      taken = redis.pcall('ZREM', KEYS[2 + queue], ARGV[at + 3])
    end
  end
  if taken == 1 then
    redis.call('ZADD', KEYS[2], ARGV[at + 1], ARGV[at + 2])
    if key > 0 then redis.call('DEL', KEYS[2 + queue_count + key]) end
  end
  bits[#bits + 1] = taken == 1 and '1' or '0'
end
return table.concat(bits)
