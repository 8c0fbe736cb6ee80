-- Last step before handlers start: free unique keys, take the newest update, take cron slots.
--
-- KEYS[1]  worker_pools:ID   hash   the pool's heartbeat, with its fence
-- KEYS[2]  worker_pools      set
-- KEYS[3]  begun             hash
-- KEYS[4]  recoveries        hash
-- then a job, three each: its unique key or slot key, the in-progress list, its queue
--
-- ARGV[1]  pool id   ARGV[2] fence   ARGV[3] now, epoch s   ARGV[4] seconds that marks are kept
-- then a job, three each: kind, raw, job id
--   "unique"  a unique job that has not failed before
--   "slot"    a cron job; "held" if this pool already runs the same slot; "late" if it is older than
--             its entry allows; "take" if its owner was found not to hold it any more
--
-- Returns {"gone"} or {"fenced"} with nothing applied, else one reply a job: "" run it as it is,
-- {"swap", raw} run these bytes, which now stand in the in-progress list, {"drop"} the slot was run
-- before, {"late"} it is too late for it, {"busy", pool id} a registered pool has started it: to be
-- looked up whether it still holds it.
--
-- A unique job frees its key only once: after a crash its bytes come back unchanged, and the key
-- may then belong to a newer job. An update that is no job does not replace the one that waited: it
-- goes to the queue, and with its next claim to the dead set, as all bytes there that are no job.

local fence = redis.pcall('HGET', KEYS[1], 'fence')
if type(fence) ~= 'string' then return {'gone'} end
if fence ~= ARGV[2] then return {'fenced'} end
redis.call('HDEL', KEYS[1], 'unregistered')

-- Which unique jobs have begun before, and a mark for the others, in two commands for all of them.
-- A mark of more than 64 bytes has the server keep the hash as a table. Its compact form, which is
-- read from the start for every field, takes longer for the marks of one call than all the rest.
local mark = ARGV[3] .. string.rep(' ', 64)
local begun, ids, marks = {}, {}, {}
for at = 5, #ARGV, 3 do
  if ARGV[at] == 'unique' then ids[#ids + 1] = ARGV[at + 2] end
end
if #ids > 0 then
  local found = redis.pcall('HMGET', KEYS[3], unpack(ids))
  for i, id in ipairs(ids) do
    if found.err or not found[i] then
      marks[#marks + 1], marks[#marks + 2] = id, mark
    else
      begun[id] = true
    end
  end
  if #marks > 0 then redis.pcall('HSET', KEYS[3], unpack(marks)) end
  redis.call('EXPIRE', KEYS[3], ARGV[4])
end

-- Whether bytes have the form of a job, as far as can be told without a decoder.
local function is_job(value)
  return string.sub(value, -1) == '}' and string.find(value, '"name"%s*:%s*"')
    and string.find(value, '"id"%s*:%s*"')
end

local function begin_unique(key, inprogress, queue, raw, id)
  if begun[id] then return '' end
  begun[id] = true
  local value = redis.pcall('GETDEL', key)
  if type(value) == 'table' then redis.call('DEL', key) end
  if type(value) ~= 'string' or string.sub(value, 1, 1) ~= '{' or value == raw then return '' end
  if not is_job(value) then
    redis.pcall('LPUSH', queue, value)
    return ''
  end
  if redis.pcall('LREM', inprogress, -1, raw) ~= 1 then return '' end
  redis.call('LPUSH', inprogress, value)
  -- From here on the bytes carry the id of the update.
  local new_id = string.match(value, '"id":"([^"\\]*)"')
  if new_id and new_id ~= id then
    redis.pcall('HDEL', KEYS[3], id)
    redis.pcall('HSET', KEYS[3], new_id, mark)
    local count = redis.pcall('HGET', KEYS[4], id)
    if type(count) == 'string' then
      redis.call('HDEL', KEYS[4], id)
      redis.call('HSET', KEYS[4], new_id, count)
    end
  end
  return {'swap', value}
end

local function begin_slot(key, kind)
  local state = redis.pcall('GET', key)
  if type(state) == 'string' then
    if state == 'done' then return {'drop'} end
    local owner = string.match(state, '^started:(.+)$')
    if owner == ARGV[1] then
      if kind == 'held' then return {'drop'} end
    elseif owner and kind ~= 'take' and redis.call('SISMEMBER', KEYS[2], owner) == 1 then
      return {'busy', owner}
    end
    -- What has been started once is owed its run, however late it is.
    if kind == 'late' and not owner and state ~= 'failed' then
      redis.call('SET', key, 'done', 'EX', ARGV[4])
      return {'late'}
    end
  end
  redis.call('SET', key, 'started:' .. ARGV[1], 'EX', ARGV[4])
  return ''
end

local reply = {}
for at = 5, #ARGV, 3 do  -- keys and arguments of a job are at the same places
  local kind = ARGV[at]
  if kind == 'unique' then
    reply[#reply + 1] = begin_unique(KEYS[at], KEYS[at + 1], KEYS[at + 2], ARGV[at + 1], ARGV[at + 2])
  else
    reply[#reply + 1] = begin_slot(KEYS[at], kind)
  end
end
return {'ok', reply}
