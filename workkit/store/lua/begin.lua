-- Last step before handlers start: free unique keys, take the newest update, take cron slots.
--
-- KEYS[1]  worker_pools:ID   hash   the pool's heartbeat, with its fence
-- KEYS[2]  worker_pools      set
-- KEYS[3]  begun             hash
-- KEYS[4]  recoveries        hash
-- KEYS[5]  scheduled         zset
-- then the key of each unique job
-- then a further question, three each: a unique key or slot key, the in-progress list, its queue
--
-- ARGV[1]  pool id   ARGV[2] fence   ARGV[3] now, epoch s   ARGV[4] seconds that marks are kept
-- ARGV[5]  number of unique jobs that have not failed before, then their ids
-- then a further question, four each: kind, raw, what the key was found to hold, job id
--   of a unique job that an update was found for: "swap" if it is a job, "keep" if it is not one, "own"
--   if it is the job itself; of one whose key was found to be a newer job's: "theirs"
--   of a cron job: "slot"; "held" if this pool already runs the same slot; "late" if it is older than
--   its entry allows; "take" if its owner was found not to hold it any more
--
-- Returns {"gone"} or {"fenced"} with nothing applied, else {"ok", {place, reply...}...} with the
-- places (1-based, unique jobs first) of those that do not simply run as they are: "update" and
-- bytes, its key holds these, nothing was done: to be looked at whether they are a job; "swap" and
-- bytes, run these, which now stand in the in-progress list; "drop", the slot was run before; "late",
-- it is too late for it; "busy" and a pool id, a registered pool has started it: to be looked up
-- whether it still holds it.
--
-- A unique job frees its key only once: after a crash its bytes come back unchanged, and the key
-- may then belong to a newer job. A job that began in a Go pool has no mark of it; so a payload that
-- has a place of its own, in the queue or the scheduled set, is taken for a newer job, which has the
-- key, and not for an update, which is nowhere else. An update that is not a job does not replace the one that waited: it
-- goes to the queue, and with its next claim to the dead set, as all bytes there that are not a job.

local fence = redis.pcall('HGET', KEYS[1], 'fence')
if type(fence) ~= 'string' then return {'gone'} end
if fence ~= ARGV[2] then return {'fenced'} end
redis.call('HDEL', KEYS[1], 'unregistered')

-- Lua's stack bounds what can be unpacked at once.
local MOST = 1000
-- A mark of more than 64 bytes has the server keep the hash as a table. Its compact form, which is
-- read from the start for every field, takes longer for the marks of one call than all the rest.
local MARK = ARGV[3] .. string.rep(' ', 64)
local reply, begun, marks, freed = {'ok'}, {}, {}, {}
-- So many jobs of a queue are looked at for a newer one, the next to run first.
local MOST_JOBS = 10000

local function mark(id)
  begun[id] = true
  marks[#marks + 1], marks[#marks + 2] = id, MARK
end

local function is_payload(value)
  return type(value) == 'string' and string.sub(value, 1, 1) == '{'
end

-- Tells whether a payload is that of a job; where its text leaves a doubt, the pool is asked.
local function is_of(value, id)
  local _, at = string.find(value, '^{"name":"[^"\\]*","id":"')
  return at and string.sub(value, at + 1, at + #id + 1) == id .. '"'
end

-- What unique jobs find, in few commands for all of them.
local last = 5 + tonumber(ARGV[5])
for from = 6, last, MOST do
  local to = math.min(from + MOST - 1, last)
  local marked = redis.pcall('HMGET', KEYS[3], unpack(ARGV, from, math.min(from + MOST - 1, last)))
  local held = redis.call('MGET', unpack(KEYS, from, math.min(from + MOST - 1, last)))
  for at = from, to do
    local id, value = ARGV[at], held[at - from + 1]
    if not begun[id] and (marked.err or not marked[at - from + 1]) then
      if is_payload(value) and not is_of(value, id) then
        reply[#reply + 1] = {at - 5, 'update', value}
      else
        mark(id)
        freed[#freed + 1] = KEYS[at]
      end
    end
  end
end

-- Tells whether a payload is that of a job with a place of its own.
local function has_place(payload, inprogress, queue)
  if redis.pcall('ZSCORE', KEYS[5], payload) then return true end
  for _, list in ipairs({queue, inprogress}) do
    local at = redis.pcall('LPOS', list, payload, 'RANK', -1, 'MAXLEN', MOST_JOBS)
    if type(at) == 'number' then return true end
  end
end

local function begin_found(kind, key, inprogress, queue, raw, found, id)
  if begun[id] or redis.pcall('HEXISTS', KEYS[3], id) == 1 then return end
  if kind == 'theirs' then return mark(id) end
  local value = redis.pcall('GET', key)
  if is_payload(value) and value ~= found then return 'update', value end
  mark(id)
  if kind == 'swap' and is_payload(value) and has_place(value, inprogress, queue) then return end
  redis.call('DEL', key)
  if not is_payload(value) or kind == 'own' then return end
  if kind == 'keep' then redis.pcall('LPUSH', queue, value) end
  if kind == 'keep' or redis.pcall('LREM', inprogress, -1, raw) ~= 1 then return end
  redis.call('LPUSH', inprogress, value)
  -- From here on the bytes carry the id of the update.
  local new_id = string.match(value, '"id":"([^"\\]*)"') or id
  marks[#marks - 1] = new_id
  if new_id ~= id then
    local count = redis.pcall('HGET', KEYS[4], id)
    if type(count) == 'string' then
      redis.call('HDEL', KEYS[4], id)
      redis.call('HSET', KEYS[4], new_id, count)
    end
  end
  return 'swap', value
end

local function begin_slot(key, kind)
  local state = redis.pcall('GET', key)
  if type(state) == 'string' then
    if state == 'done' then return 'drop' end
    local owner = string.match(state, '^started:(.+)$')
    if owner == ARGV[1] then
      if kind == 'held' then return 'drop' end
    elseif owner and kind ~= 'take' and redis.call('SISMEMBER', KEYS[2], owner) == 1 then
      return 'busy', owner
    end
    -- What has been started once is owed its run, however late it is.
    if kind == 'late' and not owner and state ~= 'failed' then
      redis.call('SET', key, 'done', 'EX', ARGV[4])
      return 'late'
    end
  end
  redis.call('SET', key, 'started:' .. ARGV[1], 'EX', ARGV[4])
end

local IS_FOUND = {swap = true, keep = true, own = true, theirs = true}
local place, key_at = last - 5, last + 1
for at = last + 1, #ARGV, 4 do
  local kind, raw, found, id = unpack(ARGV, at, at + 3)
  local key, inprogress, queue = unpack(KEYS, key_at, key_at + 2)
  place, key_at = place + 1, key_at + 3
  local says, what
  if IS_FOUND[kind] then
    says, what = begin_found(kind, key, inprogress, queue, raw, found, id)
  else
    says, what = begin_slot(key, kind)
  end
  if says then reply[#reply + 1] = {place, says, what} end
end

for from = 1, #freed, MOST do
  redis.call('DEL', unpack(freed, from, math.min(from + MOST - 1, #freed)))
end
for from = 1, #marks, MOST do
  redis.pcall('HSET', KEYS[3], unpack(marks, from, math.min(from + MOST - 1, #marks)))
end
if #marks > 0 then redis.call('EXPIRE', KEYS[3], ARGV[4]) end
return reply
