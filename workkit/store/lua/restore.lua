-- Put deleted jobs back from the trash to where they were.
--
-- KEYS[1]  trashed:OP  list
-- KEYS[2]  list or zset
-- KEYS[3]  begun          hash
-- KEYS[4..] unique keys
--
-- ARGV[1]  "list" or "zset"   ARGV[2] now, epoch s   ARGV[3] seconds that marks are kept
-- then a job, nine each: entry of the trash, its mark, its score, its bytes, the same without
-- uniqueness, index of its unique key (1-based; 0: none), value for the key, seconds that the key
-- lives, id
--
-- Returns a string, one character a job: "1" it is back, "p" it is back without being unique,
-- because a newer job holds its key, "0" it was not in the trash any more. "t" alone: KEYS[2] has a
-- wrong type, and nothing was done.
--
-- Jobs that go back to a queue run next, in their old order.

local found = redis.call('TYPE', KEYS[2])['ok']
if found ~= 'none' and found ~= ARGV[1] then return 't' end

-- part: rights

local needed = {{ARGV[1] == 'list' and 'RPUSH' or 'ZADD', KEYS[2]}, {'EXPIRE', KEYS[3]}}
if KEYS[4] then needed[3] = {'SET', KEYS[4]} end
local refusal = refused(needed)
if refusal then return refusal end

local bits = {}
for at = 4, #ARGV, 9 do
  if redis.call('LREM', KEYS[1], 1, ARGV[at]) == 0 then
    bits[#bits + 1] = '0'
  else
    local mark, bytes, key, bit = ARGV[at + 1], ARGV[at + 3], tonumber(ARGV[at + 5]), '1'
    if mark == 'b' then
      redis.pcall('HSET', KEYS[3], ARGV[at + 8], ARGV[2])
      redis.call('EXPIRE', KEYS[3], ARGV[3])
    elseif mark == 'k' and key > 0 then
      local unique = KEYS[3 + key]
      if not redis.call('SET', unique, ARGV[at + 6], 'NX', 'EX', ARGV[at + 7]) then
        bytes, bit = ARGV[at + 4], 'p'
      end
    end
    if ARGV[1] == 'list' then
      redis.call('RPUSH', KEYS[2], bytes)
    else
      redis.call('ZADD', KEYS[2], ARGV[at + 2], bytes)
    end
    bits[#bits + 1] = bit
  end
end
return table.concat(bits)
