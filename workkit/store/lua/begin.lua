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
-- then a further question, four each: kind, raw, the value that the pool read from the key, job id
--   for a unique job whose key holds a payload: "swap" if that payload is a job, "keep" if it is
--   not a job, "own" if it is this job, "theirs" if it is a newer job
--   for a cron job: "slot"; "held" if this pool already runs the same slot; "late" if it is older
--   than its entry allows; "take" if the pool that started it does not hold it any more
--
-- Returns {"gone"} or {"fenced"} with nothing applied, else {"ok", {place, reply...}...}. It lists
-- only the jobs that do not run unchanged, by place (1-based, unique jobs first):
--   "update" and bytes: its key holds these bytes; nothing was done; the pool checks whether they
--     are a job
--   "swap" and bytes: run these bytes, which now are in the in-progress list
--   "drop": the slot has run already
--   "late": the slot is older than its entry allows
--   "busy" and a pool id: that registered pool has started it; the caller checks whether it still
--     holds it
--
-- A unique job frees its key only once: after a crash its bytes come back unchanged, and the key
-- may then belong to a newer job. A Go pool leaves no mark when a job begins. So a payload that is
-- also in the queue or in the scheduled set counts as a newer job, which owns the key. A payload
-- that is only in the key is an update. An update that is not a job does not replace the job that
-- waited. It goes to the queue, and its next claim moves it to the dead set, like all malformed
-- payloads.

local fence = redis.pcall('HGET', KEYS[1], 'fence')
if type(fence) ~= 'string' then return {'gone'} end
if fence ~= ARGV[2] then return {'fenced'} end
redis.call('HDEL', KEYS[1], 'unregistered')

-- Lua's stack bounds how many values `unpack` can return.
local MOST = 1000
-- A value of more than 64 bytes makes the server store the hash as a table. In the compact form
-- the server searches from the start for every field. For the marks of one call, that takes longer
-- than the rest of the script.
local MARK = ARGV[3] .. string.rep(' ', 64)
local reply, begun, marks, freed = {'ok'}, {}, {}, {}
-- How many jobs of a queue it searches for a newer one, the next to run first.
local MOST_JOBS = 10000

local function mark(id)
  begun[id] = true
  marks[#marks + 1], marks[#marks + 2] = id, MARK
end

local function is_payload(value)
  return type(value) == 'string' and string.sub(value, 1, 1) == '{'
end

-- Tells whether a payload belongs to a job; if the text leaves a doubt, the pool decides.
local function is_of(value, id)
  local _, at = string.find(value, '^{"name":"[^"\\]*","id":"')
  return at and string.sub(value, at + 1, at + #id + 1) == id .. '"'
end

-- Read marks and keys of all unique jobs with few commands.
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

-- Tells whether a payload is also in the scheduled set, the queue or the in-progress list.
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
      redis.call('HSET', KEYS[4], new_id, count)  -- first: an empty hash would lose its end
      redis.call('HDEL', KEYS[4], id)
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
    -- A slot that has started once must run to its end, even if it is late.
    if kind == 'late' and (state == 'queued' or state == 'scheduled') then
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
