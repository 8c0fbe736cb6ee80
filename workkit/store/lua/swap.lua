-- Put an edited job into the place of the job that it was, or back.
--
-- KEYS[1]  where the job is     list or zset
-- KEYS[2]  where the other goes list or zset; the same key if it stays in its place
-- KEYS[3]  known_jobs           set
-- KEYS[4]  begun                hash
-- KEYS[5]  trashed:OP           list
-- KEYS[6]  the unique key to free   KEYS[7]  the unique key to take  (any key if there is none)
--
-- ARGV[1]  type of KEYS[1]   ARGV[2]  type of KEYS[2]
-- ARGV[3]  score in KEYS[2]; "" for the score that the job had
-- ARGV[4]  now, epoch s   ARGV[5]  seconds that the trash is kept
-- ARGV[6]  the job   ARGV[7]  the other
-- ARGV[8]  name of the queue KEYS[2]; "" for a sorted set   ARGV[9]  the job's id
-- ARGV[10] "" or the value that the key to free must have
-- ARGV[11] "" or the value of the key to take   ARGV[12]  seconds that it lives
-- ARGV[13] what the trash keeps to undo this; "" to remove ARGV[14], an entry of the trash, instead
--
-- Returns "1" done, or what kept it from that, and nothing was done: "0" the job is not there any
-- more, or its entry is not in the trash; "c" the key to free has another value; "u" another job
-- holds the key to take; "t" a key has a wrong type.
--
-- A job that stays in its queue keeps its position. A job that comes into a queue from elsewhere
-- goes behind the others. An entry of the trash is "e SCORE NOW LENGTH JOB" and ARGV[13].

local function has_type(key, wanted)
  local found = redis.call('TYPE', key)['ok']
  return found == 'none' or found == wanted
end

if not (has_type(KEYS[1], ARGV[1]) and has_type(KEYS[2], ARGV[2]) and has_type(KEYS[5], 'list'))
then return 't' end
local frees, takes = ARGV[10] ~= '', ARGV[11] ~= ''
if frees and redis.pcall('GET', KEYS[6]) ~= ARGV[10] then return 'c' end
if takes and not (frees and KEYS[6] == KEYS[7]) and redis.call('EXISTS', KEYS[7]) == 1 then
  return 'u'
end

-- part: rights

local needed = {
  {ARGV[2] == 'list' and 'LPUSH' or 'ZADD', KEYS[2]}, {'SADD', KEYS[3]}, {'RPUSH', KEYS[5]},
  {'EXPIRE', KEYS[5]},
}
if ARGV[1] == 'list' and KEYS[1] == KEYS[2] then needed[1] = {'LSET', KEYS[1]} end
if ARGV[13] == '' then needed[#needed + 1] = {ARGV[1] == 'list' and 'LREM' or 'ZREM', KEYS[1]} end
if frees then needed[#needed + 1] = {'DEL', KEYS[6]} end
if takes then needed[#needed + 1] = {'SET', KEYS[7]} end
local refusal = refused(needed)
if refusal then return refusal end

local score, at = '0', nil
if ARGV[1] == 'list' then
  at = redis.call('LPOS', KEYS[1], ARGV[6])
else
  score = redis.call('ZSCORE', KEYS[1], ARGV[6])
end
if not at and (ARGV[1] == 'list' or not score) then return '0' end
if ARGV[13] == '' and redis.call('LREM', KEYS[5], 1, ARGV[14]) == 0 then return '0' end

if ARGV[1] == 'list' and KEYS[1] == KEYS[2] then
  redis.call('LSET', KEYS[1], at, ARGV[7])
else
  if ARGV[1] == 'list' then
    redis.call('LREM', KEYS[1], 1, ARGV[6])
  else
    redis.call('ZREM', KEYS[1], ARGV[6])
  end
  if ARGV[2] == 'list' then
    redis.call('LPUSH', KEYS[2], ARGV[7])
  else
    redis.call('ZADD', KEYS[2], ARGV[3] == '' and score or ARGV[3], ARGV[7])
  end
end
if ARGV[8] ~= '' then redis.call('SADD', KEYS[3], ARGV[8]) end
if frees then redis.call('DEL', KEYS[6]) end
if takes then
  if not frees then redis.pcall('HDEL', KEYS[4], ARGV[9]) end  -- it runs as if for the first time
  redis.call('SET', KEYS[7], ARGV[11], 'EX', ARGV[12])
end
if ARGV[13] ~= '' then
  local head = table.concat({'e', score, ARGV[4], #ARGV[6], ''}, ' ')
  redis.call('RPUSH', KEYS[5], head .. ARGV[6] .. ARGV[13])
  redis.call('EXPIRE', KEYS[5], ARGV[5])
end
return '1'
