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
--   "unique"  a unique job that has not failed before; "swap" if what waits in its key was found to be
--             a job, "keep" if it was found to be none
--   "slot"    a cron job; "held" if this pool already runs the same slot; "late" if it is older than
--             its entry allows; "take" if its owner was found not to hold it any more
--
-- Returns {"gone"} or {"fenced"} with nothing applied, else one reply a job: "" run it as it is,
-- {"update", bytes} its key holds these, nothing was done: to be looked at whether they are a job,
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

local is_unique = {unique = true, swap = true, keep = true}

-- Which unique jobs have begun before, and a mark for the others, in two commands for all of them.
-- A mark of more than 64 bytes has the server keep the hash as a table. Its compact form, which is
-- read from the start for every field, takes longer for the marks of one call than all the rest.
local MARK = ARGV[3] .. string.rep(' ', 64)
local begun, ids, marks = {}, {}, {}
for at = 5, #ARGV, 3 do
  if is_unique[ARGV[at]] then ids[#ids + 1] = ARGV[at + 2] end
end
if #ids > 0 then
  local found = redis.pcall('HMGET', KEYS[3], unpack(ids))
  for i, id in ipairs(ids) do
    if not found.err and found[i] then begun[id] = true end
  end
end

local function mark(id)
  marks[#marks + 1], marks[#marks + 2] = id, MARK
end

local function begin_unique(kind, key, inprogress, queue, raw, id)
  if begun[id] then return '' end
  local value = redis.pcall('GET', key)
  local updated = type(value) == 'string' and string.sub(value, 1, 1) == '{' and value ~= raw
  if updated and kind == 'unique' then return {'update', value} end
  begun[id] = true
  if value then redis.call('DEL', key) end
  if updated and kind == 'keep' then redis.pcall('LPUSH', queue, value) end
  if not updated or kind == 'keep' or redis.pcall('LREM', inprogress, -1, raw) ~= 1 then
    mark(id)
    return ''
  end
  redis.call('LPUSH', inprogress, value)
  -- From here on the bytes carry the id of the update.
  local new_id = string.match(value, '"id":"([^"\\]*)"') or id
  mark(new_id)
  if new_id ~= id then
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
  local kind, raw, id = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if is_unique[kind] then
    reply[#reply + 1] = begin_unique(kind, KEYS[at], KEYS[at + 1], KEYS[at + 2], raw, id)
  else
    reply[#reply + 1] = begin_slot(KEYS[at], kind)
  end
end
if #marks > 0 then
  redis.pcall('HSET', KEYS[3], unpack(marks))
  redis.call('EXPIRE', KEYS[3], ARGV[4])
end
return {'ok', reply}
