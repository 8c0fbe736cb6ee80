-- One dispatcher round trip: settle finished jobs, append history, claim new jobs.
--
-- KEYS[1]  worker_pools:ID   hash     the pool's heartbeat, with its fence
-- KEYS[2]  retry             zset
-- KEYS[3]  dead              zset
-- KEYS[4]  history           stream
-- KEYS[5]  history:head      string
-- KEYS[6]  recoveries        hash
-- KEYS[7]  begun             hash
-- KEYS[8..] six a queue: jobs, inprogress, lock, lock_info, paused, max_concurrency
-- then one a named effect (see below)
--
-- ARGV[1]  pool id
-- ARGV[2]  fence expected    ARGV[3]  fence to set (also the number of this exchange)
-- ARGV[4]  now, epoch ms
-- ARGV[5]  history: maximum of records, 0 = none   ARGV[6] records in the blob   ARGV[7] blob
-- ARGV[8]  host, for the history entry
-- ARGV[9]  history: maximum of bytes, 0 = no bound   ARGV[10] the program's version
-- ARGV[11] number of queues Q
-- then a queue:
--   how many jobs to claim
--   how many jobs leave the system (done or discarded), raw of each
--   how many unique jobs with a mark in `begun` leave it, raw and id of each
--   how many jobs are settled otherwise, and for each of them:
--     "r" raw due_at_s new     to retry
--     "x" raw died_at_s new    to dead
--     "b" raw                  back to the front of its queue, unchanged (to retry, due at once, if
--                              the queue's key has a wrong type)
-- then the effects of settled jobs, four each, applied only if the pool still held the job:
--   ordinal of the settled job (1-based, over all queues), op, key index (into KEYS), argument:
--   "release" DEL key if its value is a payload with that id, as JSON writes it
--   "mark" SET key argument for 2 days   "recovered" HDEL recoveries argument
--   "begun" HDEL begun argument
--
-- Returns {"gone"} if the pool is not registered (reaped, flushed), {"fenced", fence} if another
-- exchange or a resync came between, {"type", key} if a set that it must write has a wrong type;
-- in these cases it applies nothing. Otherwise {"ok", applied, recoveries, claimed...}: applied is
-- one "1" or "0" a settled job, recoveries the size of the hash, then for each queue a list whose
-- first element says why it got no more ("" more may wait, "empty", "paused", "limit", "type").
--
-- A full server allows the first write, and then the rest of the script, so pools can drain it.

-- part: fields

-- About how many bytes the server needs for an entry, without its records.
local ENTRY_BYTES = 100

local pool_id, now_ms = ARGV[1], tonumber(ARGV[4])
local fence = redis.pcall('HGET', KEYS[1], 'fence')
if type(fence) ~= 'string' then return {'gone'} end
if fence ~= ARGV[2] then return {'fenced', fence} end

local function has_type(key, wanted)
  local found = redis.call('TYPE', key)['ok']
  return found == wanted or found == 'none'
end

local queue_count = tonumber(ARGV[11])
local cursor = 12

-- Read the settled jobs first, so that a wrong type is found before anything is written.
local queues, settled_count, retries, deaths = {}, 0, {}, {}
for q = 1, queue_count do
  local base = 8 + (q - 1) * 6
  local done = tonumber(ARGV[cursor + 1])
  local queue = {
    base = base, claim = tonumber(ARGV[cursor]), settled = {},
    first = cursor + 2, last = cursor + 1 + done, before = settled_count,
  }
  settled_count = settled_count + done
  queue.begun, queue.begun_before = tonumber(ARGV[queue.last + 1]), settled_count
  settled_count = settled_count + queue.begun
  cursor = queue.last + 2 * queue.begun + 3
  for i = 1, tonumber(ARGV[cursor - 1]) do
    settled_count = settled_count + 1
    local fate, job = ARGV[cursor], {raw = ARGV[cursor + 1], fate = ARGV[cursor], at = settled_count}
    cursor = cursor + 2
    if fate == 'r' or fate == 'x' then
      job.score, job.new = ARGV[cursor], ARGV[cursor + 1]
      cursor = cursor + 2
      if fate == 'r' then retries[1] = true else deaths[1] = true end
    else
      queue.returns = true
    end
    queue.settled[i] = job
  end
  queues[q] = queue
end
for _, queue in ipairs(queues) do
  if queue.returns and not has_type(KEYS[queue.base], 'list') then retries[1] = true end
end
if retries[1] and not has_type(KEYS[2], 'zset') then return {'type', KEYS[2]} end
if deaths[1] and not has_type(KEYS[3], 'zset') then return {'type', KEYS[3]} end

redis.call('HDEL', KEYS[1], 'unregistered')
redis.call('HSET', KEYS[1], 'fence', ARGV[3], 'applied', ARGV[3])

local function hold(queue, delta)
  if delta == 0 then return end
  redis.pcall('INCRBY', KEYS[queue.base + 2], delta)
  local left = redis.pcall('HINCRBY', KEYS[queue.base + 3], pool_id, delta)
  if delta < 0 and type(left) == 'number' and left <= 0 then
    redis.call('HDEL', KEYS[queue.base + 3], pool_id)
  end
end

local applied, all_applied = {}, true
local ended = {}  -- ids of unique jobs that had begun
for q = 1, queue_count do
  local queue = queues[q]
  local released, returned = 0, {}
  -- The tail holds the oldest claims, which finish first.
  for at = queue.first, queue.last do
    local ours = redis.pcall('LREM', KEYS[queue.base + 1], -1, ARGV[at]) == 1
    applied[queue.before + at - queue.first + 1] = ours and '1' or '0'
    if ours then released = released + 1 else all_applied = false end
  end
  for i = 1, queue.begun do
    local at = queue.last + 2 * i
    local ours = redis.pcall('LREM', KEYS[queue.base + 1], -1, ARGV[at]) == 1
    applied[queue.begun_before + i] = ours and '1' or '0'
    if ours then
      released, ended[#ended + 1] = released + 1, ARGV[at + 1]
    else
      all_applied = false
    end
  end
  for _, job in ipairs(queue.settled) do
    local removed = redis.pcall('LREM', KEYS[queue.base + 1], -1, job.raw)
    if removed == 1 then
      released = released + 1
      applied[job.at] = '1'
      if job.fate == 'r' then
        redis.call('ZADD', KEYS[2], job.score, job.new)
      elseif job.fate == 'x' then
        redis.call('ZADD', KEYS[3], job.score, job.new)
      elseif job.fate == 'b' then
        returned[#returned + 1] = job.raw
      end
    else
      applied[job.at] = '0'
      all_applied = false
    end
  end
  for i = #returned, 1, -1 do
    -- If the queue's key has a wrong type, they wait in the retry set until somebody repairs it.
    if type(redis.pcall('RPUSH', KEYS[queue.base], returned[i])) == 'table' then
      redis.call('ZADD', KEYS[2], math.floor(now_ms / 1000), returned[i])
    end
  end
  queue.released = released
end

-- The reply may be lost. Then the pool asks what was applied, and nobody else has told history.
if not all_applied then
  redis.call('HSET', KEYS[1], 'applied', ARGV[3] .. ':' .. table.concat(applied))
end

while ARGV[cursor] do
  local op, key, argument = ARGV[cursor + 1], KEYS[tonumber(ARGV[cursor + 2])], ARGV[cursor + 3]
  if applied[tonumber(ARGV[cursor])] == '1' then
    if op == 'release' then
      local value = redis.pcall('GET', key)
      if type(value) == 'string' and field_of(value, 'id') == argument then
        redis.call('DEL', key)
      end
    elseif op == 'mark' then
      redis.call('SET', key, argument, 'EX', 172800)
    elseif op == 'recovered' then
      redis.pcall('HDEL', KEYS[6], argument)
    elseif op == 'begun' then
      ended[#ended + 1] = argument
    end
  end
  cursor = cursor + 4
end
for first = 1, #ended, 1000 do
  redis.pcall('HDEL', KEYS[7], unpack(ended, first, math.min(first + 999, #ended)))
end

-- The id of a history entry is the time and the running total of records, so that readers know how
-- many records the cap has removed; `b` is the running total of bytes, for the same purpose. The
-- time in the ids never decreases, even if the clocks of two pools differ.
if all_applied and ARGV[5] ~= '0' and ARGV[6] ~= '0' and has_type(KEYS[4], 'stream') then
  local head = redis.pcall('GET', KEYS[5])
  local last_ms, last_total, last_bytes =
    string.match(type(head) == 'string' and head or '', '^(%d+) (%d+) ?(%d*)$')
  local size = #ARGV[7] + ENTRY_BYTES
  local ms, total, bytes
  local function append()
    ms = math.max(now_ms, tonumber(last_ms) or 0)
    total = (tonumber(last_total) or 0) + tonumber(ARGV[6])
    bytes = (tonumber(last_bytes) or 0) + size
    return redis.pcall('XADD', KEYS[4], string.format('%.0f-%.0f', ms, total), 'v', '1',
      'pool', pool_id, 'host', ARGV[8], 'n', ARGV[6], 'r', ARGV[7],
      'b', string.format('%.0f', bytes), 'ver', ARGV[10])
  end
  local function go_on_after_newest()
    local newest = redis.call('XREVRANGE', KEYS[4], '+', '-', 'COUNT', 1)[1]
    last_ms, last_total = string.match(newest and newest[1] or '', '^(%d+)-(%d+)$')
    last_bytes = newest and newest[2][12]
  end
  -- The head may be missing, or older than the stream.
  if not last_ms then go_on_after_newest() end
  local added = append()
  if type(added) == 'table' and added.err then
    go_on_after_newest()
    append()
  end
  redis.call('SET', KEYS[5], string.format('%.0f %.0f %.0f', ms, total, bytes))
  -- The caps count records and bytes, and an entry holds many: check from time to time.
  local function passes(sum, added, cap)
    local step = math.max(math.floor(cap / 8), 1)
    return cap > 0 and math.floor(sum / step) ~= math.floor((sum - added) / step)
  end
  local cap, byte_cap = tonumber(ARGV[5]), tonumber(ARGV[9])
  if passes(total, tonumber(ARGV[6]), cap) or passes(bytes, size, byte_cap) then
    -- Entries differ in size, so their number says little. Ids and running totals grow together: it
    -- looks for the first entry to keep by its time, and then by its total.
    local function is_over(at_ms, at_total)
      local from = string.format('%.0f-%.0f', at_ms, at_total)
      local found = redis.call('XRANGE', KEYS[4], from, '+', 'COUNT', 1)[1]
      if not found then return false end
      local at_bytes = byte_cap > 0 and tonumber(found[2][12])
      return total - tonumber(string.match(found[1], '-(%d+)$')) >= cap
        or at_bytes and bytes - at_bytes >= byte_cap
    end
    local function least(low, high, is_less)
      while low < high do
        local middle = math.floor((low + high) / 2)
        if is_less(middle) then low = middle + 1 else high = middle end
      end
      return low
    end
    local first = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
    local first_ms = tonumber(string.match(first[1], '^(%d+)'))
    local kept_ms = least(first_ms, ms + 1, function(at_ms) return is_over(at_ms, 0) end)
    if kept_ms > first_ms then
      local last_ms = kept_ms - 1  -- of which some entries may stay
      local at_total = least(0, total + 1, function(at) return is_over(last_ms, at) end)
      redis.call('XTRIM', KEYS[4], 'MINID', string.format('%.0f-%.0f', last_ms, at_total))
    end
  end
end

-- Claim jobs in pieces of CLAIM_PIECE until they have CLAIM_BYTES, over all queues: the server and
-- the pool keep all claimed jobs in memory at the same time.
local CLAIM_PIECE, CLAIM_BYTES = 20, 8388608
local claimed_bytes = 0

local function claim(queue, got)
  local want = queue.claim
  local paused = redis.pcall('GET', KEYS[queue.base + 4])
  if type(paused) == 'table' then return 'type' end
  if paused and paused ~= '0' then return 'paused' end
  local why = ''
  local limit = redis.pcall('GET', KEYS[queue.base + 5])
  if type(limit) == 'table' then return 'type' end
  limit = tonumber(limit) or 0
  if limit > 0 then
    local held = redis.pcall('GET', KEYS[queue.base + 2])
    if type(held) == 'table' then return 'type' end
    local room = limit - math.max((tonumber(held) or 0) - queue.released, 0)
    if room < want then want, why = math.max(room, 0), 'limit' end
    if want == 0 then return why end
  end
  local list = KEYS[queue.base + 1]
  while want > 0 and claimed_bytes < CLAIM_BYTES do
    local count = math.min(want, CLAIM_PIECE)
    local items = redis.pcall('RPOP', KEYS[queue.base], count)
    if not items then return 'empty' end
    if items.err then return 'type' end
    local from = 1
    local stored = redis.pcall('LPUSH', list, unpack(items, from, math.min(from + 19, #items)))
    if type(stored) == 'table' then
      for i = #items, 1, -1 do redis.call('RPUSH', KEYS[queue.base], items[i]) end
      return 'type'
    end
    for _, item in ipairs(items) do
      got[#got + 1], claimed_bytes = item, claimed_bytes + #item
    end
    if #items < count then return 'empty' end
    want = want - count
  end
  if want > 0 then return '' end
  return why
end

local bits = {}
for i = 1, settled_count do bits[i] = applied[i] end
local recovered = redis.pcall('HLEN', KEYS[6])
local reply = {'ok', table.concat(bits), type(recovered) == 'number' and recovered or 0}
for q = 1, queue_count do
  local queue, got = queues[q], {''}
  if queue.claim > 0 then got[1] = claim(queue, got) end
  hold(queue, #got - 1 - queue.released)
  reply[#reply + 1] = got
end
return reply
