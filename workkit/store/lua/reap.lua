-- Give back one queue's jobs of a pool that was found dead.
--
-- KEYS[1]  worker_pools:ID   hash   of the dead pool
-- KEYS[2]  dead              zset
-- KEYS[3]  recoveries        hash
-- KEYS[4]  jobs:NAME  KEYS[5] inprogress of the dead pool  KEYS[6] lock  KEYS[7] lock_info
-- KEYS[8]  begun             hash
-- then slot keys of cron jobs and unique keys
--
-- ARGV[1]  id of the dead pool   ARGV[2] its heartbeat_at as it was watched, "" if it had none
-- ARGV[3]  now, epoch s   ARGV[4] recoveries at most   ARGV[5] seconds that counts are kept
-- then a job, six each, newest claim first: raw, id ("" = not counted), dead bytes ("" = requeue
-- whatever the count), index of its slot key (1-based; 0: not a cron job), index of its unique key
-- (1-based; 0: not unique), id as JSON writes it if that key is this job's only where its value is
-- this job's payload ("" = it is this job's unless the job has begun once)
--
-- Returns {"alive"} if the heartbeat has changed, {"type"} if the queue has a wrong type, else
-- {"ok", requeued, died, fates}: fates has "r", "d" or "-" (no longer held, counts nowhere) a job.

local beat = redis.pcall('HGET', KEYS[1], 'heartbeat_at')
if (type(beat) == 'string' and beat or '') ~= ARGV[2] then return {'alive'} end
local found = redis.call('TYPE', KEYS[4])['ok']
if found ~= 'list' and found ~= 'none' then return {'type'} end

-- From here on the pool is not registered: were it to come back now, it could claim again what is
-- taken from it, and settle the second claim with the first run.
redis.call('HDEL', KEYS[1], 'fence')

-- part: fields

-- The key of a job that is dead waits for nobody any more.
local function free_unique(at, own_id, id)
  if at == 0 then return end
  local key = KEYS[8 + at]
  local value = redis.pcall('GET', key)
  local holder = type(value) == 'string' and field_of(value, 'id')
  if own_id ~= '' then
    if holder == own_id then redis.call('DEL', key) end
  elseif redis.pcall('HDEL', KEYS[8], id) == 0 then
    -- An update waits nowhere but in the key. A payload that has a place of its own is that of a
    -- newer job: this one has begun in a Go pool, which leaves no mark.
    local newer = holder and holder ~= id and type(redis.pcall('LPOS', KEYS[4], value)) == 'number'
    if not newer then redis.call('DEL', key) end
  end
end

local requeued, died, fates = 0, 0, {}
for at = 6, #ARGV, 6 do
  local raw, id, dead = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local fate = '-'
  if redis.call('LREM', KEYS[5], 1, raw) == 1 then
    local count = 0
    if id ~= '' then
      count = redis.call('HINCRBY', KEYS[3], id, 1)
      redis.call('EXPIRE', KEYS[3], ARGV[5])
    end
    if dead ~= '' and (id == '' or count >= tonumber(ARGV[4])) then
      redis.call('ZADD', KEYS[2], ARGV[3], dead)
      if id ~= '' then redis.call('HDEL', KEYS[3], id) end
      free_unique(tonumber(ARGV[at + 4]), ARGV[at + 5], id)
      died, fate = died + 1, 'd'
    else
      redis.call('RPUSH', KEYS[4], raw)
      -- What it had started nobody runs any more, so whoever claims it may. It may as well have
      -- held a copy of a slot that others have started or done.
      local slot = tonumber(ARGV[at + 3])
      if slot > 0 and redis.pcall('GET', KEYS[8 + slot]) == 'started:' .. ARGV[1] then
        redis.call('SET', KEYS[8 + slot], 'queued', 'KEEPTTL')
      end
      requeued, fate = requeued + 1, 'r'
    end
  end
  fates[#fates + 1] = fate
end
-- What it held beyond its count has released its lock before.
local counted = redis.pcall('HGET', KEYS[7], ARGV[1])
counted = type(counted) == 'string' and tonumber(counted) or 0
local held = math.min(requeued + died, math.max(counted, 0))
if held > 0 then
  local left = redis.pcall('DECRBY', KEYS[6], held)
  if type(left) == 'number' and left < 0 then redis.call('SET', KEYS[6], '0') end
  if counted > held then
    redis.pcall('HINCRBY', KEYS[7], ARGV[1], -held)
  else
    redis.pcall('HDEL', KEYS[7], ARGV[1])
  end
end
return {'ok', requeued, died, table.concat(fates)}
