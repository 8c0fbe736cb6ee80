-- Give back one queue's jobs of a dead pool.
--
-- KEYS[1]  worker_pools:ID   hash   of the dead pool
-- KEYS[2]  dead              zset
-- KEYS[3]  recoveries        hash
-- KEYS[4]  jobs:NAME  KEYS[5] inprogress of the dead pool  KEYS[6] lock  KEYS[7] lock_info
-- KEYS[8]  begun             hash
-- then slot keys of cron jobs and unique keys
--
-- ARGV[1]  id of the dead pool   ARGV[2] its heartbeat_at as the reaper watched it, "" if none
-- ARGV[3]  now, epoch s   ARGV[4] maximum of recoveries   ARGV[5] seconds that counts are kept
-- then a job, six each, newest claim first:
--   raw
--   id ("" = its recoveries are not counted)
--   bytes for the dead set ("" = requeue it at every count)
--   index of its slot key (1-based; 0: not a cron job)
--   index of its unique key (1-based; 0: not unique)
--   id as JSON writes it, if this job owns that key only while the key's value is this job's
--   payload; "" if this job owns the key unless it has begun once
--
-- Returns {"alive"} if the heartbeat has changed, {"type"} if the queue has a wrong type, else
-- {"ok", requeued, died, fates}: fates has one letter a job: "r" requeued, "d" dead, or "-" if the
-- pool did not hold it any more (it counts nowhere).

local beat = redis.pcall('HGET', KEYS[1], 'heartbeat_at')
if (type(beat) == 'string' and beat or '') ~= ARGV[2] then return {'alive'} end
local found = redis.call('TYPE', KEYS[4])['ok']
if found ~= 'list' and found ~= 'none' then return {'type'} end

-- From here on the pool is not registered. Otherwise it could come back now, claim the same jobs
-- again, and settle the second claim with the result of the first run.
redis.call('HDEL', KEYS[1], 'fence')

-- part: fields

-- A dead job does not need its unique key any more.
local function free_unique(at, own_id, id)
  if at == 0 then return end
  local key = KEYS[8 + at]
  local value = redis.pcall('GET', key)
  local holder = type(value) == 'string' and field_of(value, 'id')
  if own_id ~= '' then
    if holder == own_id then redis.call('DEL', key) end
  elseif redis.pcall('HDEL', KEYS[8], id) == 0 then
    -- An update is only in the key. A payload that is also in the queue is a newer job: this job
    -- has begun in a Go pool, which leaves no mark.
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
      -- No pool runs the slot that it had started, so any pool may start it. But the dead pool may
      -- also have held a second copy of a slot that another pool has started or done.
      local slot = tonumber(ARGV[at + 3])
      if slot > 0 and redis.pcall('GET', KEYS[8 + slot]) == 'started:' .. ARGV[1] then
        redis.call('SET', KEYS[8 + slot], 'returned', 'KEEPTTL')
      end
      requeued, fate = requeued + 1, 'r'
    end
  end
  fates[#fates + 1] = fate
end
-- Jobs beyond its count released their locks earlier.
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
