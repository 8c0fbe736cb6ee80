-- Put dead, retried or scheduled jobs into their queues.
--
-- KEYS[1]  dead, retry or scheduled  zset
-- KEYS[2]  known_jobs     set
-- KEYS[3]  begun          hash
-- KEYS[4]  trashed:OP     list
-- KEYS[5..4+Q]  the targets: queues (lists) or, for bytes that came from a sorted set, that set
-- then unique keys
--
-- ARGV[1]  now, epoch s   ARGV[2] number of targets Q   ARGV[3] seconds that unique keys live
-- ARGV[4]  seconds that the trash is kept; 0 for none
-- ARGV[5..4+Q]  names of the queues; "" for a sorted set
-- then a job, seven each: raw, new bytes, new bytes without uniqueness ("" = do not touch its key),
-- index of its target (1-based), index of its unique key (1-based; 0: none), value for the key, id
--
-- Returns a string, one character a job: "1" revived, "0" it was not there, "t" its target, or the
-- trash, has a wrong type.
--
-- A unique job takes its key again. If a newer job holds the key, it runs without being unique.
--
-- The trash keeps the members as they were in the set: "MARK SCORE NOW LENGTH RAW". LENGTH is that
-- of RAW. The mark is "k" if the job took its key, "p" if it runs without it, "-" otherwise.

-- part: rights

local target_count, trash = tonumber(ARGV[2]), {}

local needed = {{'SADD', KEYS[2]}}
for k = 5, 4 + target_count do
  needed[#needed + 1] = {ARGV[k] == '' and 'ZADD' or 'LPUSH', KEYS[k]}
end
if KEYS[5 + target_count] then needed[#needed + 1] = {'SET', KEYS[5 + target_count]} end
if ARGV[4] ~= '0' then
  needed[#needed + 1], needed[#needed + 2] = {'RPUSH', KEYS[4]}, {'EXPIRE', KEYS[4]}
end
local refusal = refused(needed)
if refusal then return refusal end

local function arrive(at, bytes)
  local target = tonumber(ARGV[at + 3])
  local queue, name = KEYS[4 + target], ARGV[4 + target]
  if name == '' then
    redis.call('ZADD', queue, ARGV[1], bytes)
  else
    redis.call('LPUSH', queue, bytes)
    redis.call('SADD', KEYS[2], name)
  end
end

local function revive(at, score)
  local raw, bytes, mark = ARGV[at], ARGV[at + 1], '-'
  if ARGV[at + 2] ~= '' then
    redis.pcall('HDEL', KEYS[3], ARGV[at + 6])
    local unique = KEYS[4 + target_count + tonumber(ARGV[at + 4])]
    if redis.call('SET', unique, ARGV[at + 5], 'NX', 'EX', ARGV[3]) then
      mark = 'k'
    else
      bytes, mark = ARGV[at + 2], 'p'
    end
  end
  arrive(at, bytes)
  trash[#trash + 1] = table.concat({mark, score, ARGV[1], #raw, ''}, ' ') .. raw
end

local bits, trash_type = {}, redis.call('TYPE', KEYS[4])['ok']
local no_trash = ARGV[4] ~= '0' and trash_type ~= 'none' and trash_type ~= 'list'
for at = 5 + target_count, #ARGV, 7 do
  local raw, target = ARGV[at], tonumber(ARGV[at + 3])
  local found = redis.call('TYPE', KEYS[4 + target])['ok']
  if no_trash or found ~= 'none' and found ~= (ARGV[4 + target] == '' and 'zset' or 'list') then
    bits[#bits + 1] = 't'
  else
    local score = redis.call('ZSCORE', KEYS[1], raw)
    if redis.call('ZREM', KEYS[1], raw) == 1 then
      revive(at, score)
      bits[#bits + 1] = '1'
    else
      bits[#bits + 1] = '0'
    end
  end
end
if ARGV[4] ~= '0' and #trash > 0 then
  for from = 1, #trash, 1000 do
    redis.call('RPUSH', KEYS[4], unpack(trash, from, math.min(from + 999, #trash)))
  end
  redis.call('EXPIRE', KEYS[4], ARGV[4])
end
return table.concat(bits)
