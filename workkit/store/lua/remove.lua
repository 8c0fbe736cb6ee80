-- Delete jobs from a queue or a sorted set and free their unique keys.
--
-- KEYS[1]  list or zset
-- KEYS[2]  begun          hash
-- KEYS[3]  trashed:OP     list
-- KEYS[4]  recoveries     hash
-- KEYS[5..] unique keys
--
-- ARGV[1]  "list" or "zset"
-- ARGV[2]  seconds that the trash is kept; 0 to delete for good   ARGV[3] now, epoch s
-- then a job, five each: raw, its id, index of its unique key (1-based; 0: none), a rule, and its
-- argument:
--   "free"    DEL the key, unless the job (its id) has begun once; then the key may belong to a
--             newer job
--   "own"     DEL the key if its value is this job's payload (its id, as JSON writes it)
--
-- Returns a string with one "1" or "0" a job: whether it was there. "t" alone: the key of the trash
-- has a wrong type, and nothing was done. The recoveries of a deleted job do not count any more:
-- while any job is counted there, pools read the counts of all jobs that they claim.
--
-- An entry of the trash is "MARK SCORE NOW LENGTH RAW" and, right behind it, the value that the
-- unique key had. LENGTH is that of RAW. The mark is "k" if the key was freed, "b" if the job had
-- begun, "-" otherwise. The score of a job from a queue is 0.

-- part: fields
-- part: rights

-- Tells whether a payload also waits in the same place: then it is a job, not an update.
local function waits(payload)
  if ARGV[1] == 'list' then return type(redis.pcall('LPOS', KEYS[1], payload)) == 'number' end
  return redis.call('ZSCORE', KEYS[1], payload)
end

local function free(unique, rule, id)
  if rule == 'free' and redis.call('HDEL', KEYS[2], id) == 1 then return 'b', '' end
  local value = redis.pcall('GET', unique)
  local holder = type(value) == 'string' and field_of(value, 'id')
  if rule == 'own' and holder ~= id then return '-', '' end
  -- A newer job took the key while this job ran in a Go pool, which leaves no mark.
  if holder and holder ~= id and waits(value) then return '-', '' end
  redis.call('DEL', unique)
  return 'k', type(value) == 'string' and value or ''
end

local found = redis.call('TYPE', KEYS[3])['ok']
if ARGV[2] ~= '0' and found ~= 'none' and found ~= 'list' then return 't' end

local needed = {}
if ARGV[2] ~= '0' then needed = {{'RPUSH', KEYS[3]}, {'EXPIRE', KEYS[3]}} end
if KEYS[5] then
  needed[#needed + 1], needed[#needed + 2] = {'HDEL', KEYS[2]}, {'DEL', KEYS[5]}
end
local refusal = refused(needed)
if refusal then return refusal end

local bits, entries, ids = {}, {}, {}
for at = 4, #ARGV, 5 do
  local raw, key = ARGV[at], tonumber(ARGV[at + 2])
  local removed, score
  if ARGV[1] == 'list' then
    removed, score = redis.call('LREM', KEYS[1], 1, raw), '0'
  else
    score = redis.call('ZSCORE', KEYS[1], raw)
    removed = redis.call('ZREM', KEYS[1], raw)
  end
  bits[#bits + 1] = removed == 1 and '1' or '0'
  if removed == 1 then
    local mark, value = '-', ''
    if key > 0 then mark, value = free(KEYS[4 + key], ARGV[at + 3], ARGV[at + 4]) end
    ids[#ids + 1] = ARGV[at + 1]
    local head = table.concat({mark, score, ARGV[3], #raw, ''}, ' ')
    entries[#entries + 1] = head .. raw .. value
  end
end
if ARGV[2] ~= '0' and #entries > 0 then
  for from = 1, #entries, 1000 do
    redis.call('RPUSH', KEYS[3], unpack(entries, from, math.min(from + 999, #entries)))
  end
  redis.call('EXPIRE', KEYS[3], ARGV[2])
end
for from = 1, #ids, 1000 do
  redis.pcall('HDEL', KEYS[4], unpack(ids, from, math.min(from + 999, #ids)))
end
return table.concat(bits)
