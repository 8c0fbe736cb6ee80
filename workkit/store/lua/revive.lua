-- Put dead jobs back to work.
--
-- KEYS[1]  dead         zset
-- KEYS[2]  known_jobs   set
-- KEYS[3]  begun        hash
-- KEYS[4..3+Q]  the queues (lists) or, for bytes that came from one, a sorted set
-- then unique keys
--
-- ARGV[1]  now, epoch s   ARGV[2] number of targets Q   ARGV[3] seconds that unique keys live
-- ARGV[4..3+Q]  names of the queues; "" for a sorted set
-- then a job, seven each: raw, new bytes, new bytes without uniqueness ("" = the job is not unique),
-- index of its target (1-based), index of its unique key (1-based; 0: none), value for the key, id
--
-- Returns a string, one character a job: "1" revived, "0" it was not there, "t" its target has a
-- wrong type.
--
-- A unique job takes its key again; where a newer job holds it, it runs without being unique.

local target_count = tonumber(ARGV[2])
local bits = {}
for at = 4 + target_count, #ARGV, 7 do
  local raw, target = ARGV[at], tonumber(ARGV[at + 3])
  local queue, name = KEYS[3 + target], ARGV[3 + target]
  local found = redis.call('TYPE', queue)['ok']
  if found ~= 'none' and found ~= (name == '' and 'zset' or 'list') then
    bits[#bits + 1] = 't'
  elseif redis.call('ZREM', KEYS[1], raw) == 1 then
    local bytes = ARGV[at + 1]
    if ARGV[at + 2] ~= '' then
      redis.pcall('HDEL', KEYS[3], ARGV[at + 6])
      local unique = KEYS[3 + target_count + tonumber(ARGV[at + 4])]
      if not redis.call('SET', unique, ARGV[at + 5], 'NX', 'EX', ARGV[3]) then bytes = ARGV[at + 2] end
    end
    if name == '' then
      redis.call('ZADD', queue, ARGV[1], bytes)
    else
      redis.call('LPUSH', queue, bytes)
      redis.call('SADD', KEYS[2], name)
    end
    bits[#bits + 1] = '1'
  else
    bits[#bits + 1] = '0'
  end
end
return table.concat(bits)
