-- Move due jobs from the retry or scheduled set into their queues.
--
-- KEYS[1]  retry or scheduled   zset
-- KEYS[2]  known_jobs           set
-- KEYS[3]  dead                 zset
-- KEYS[4]  periodic             hash
-- KEYS[5]  periodic_seen        hash
-- KEYS[6..5+Q]  the queues; then slot keys of cron jobs
--
-- ARGV[1]  now, epoch s   ARGV[2] number of queues Q   ARGV[3] seconds that slot marks are kept
-- ARGV[4..3+Q]  names of the queues
-- then a job, five each:
--   raw, new bytes
--   index of its queue (1-based); 0 for a malformed payload: bury the new bytes in the dead set
--   index of its slot key (1-based); 0 for a job that is not a cron job
--   "DUE SEEN FIELD" of a slot whose entry no pool declares any more, else "": when the slot is
--   due, when a pool last declared the entry (epoch s), and the entry's field in `periodic`
-- The script takes such a slot back if no pool has declared its entry since, and if its key says
-- that workkit has planned it. The slot then counts as not planned, if a pool declares its entry
-- again. A slot without a key was planned by a Go pool; the script moves it to its queue.
--
-- Returns {moved, buried, dropped, left, {place...}}: dropped are second copies of a cron slot,
-- left are jobs whose queue's key has a wrong type, and the places (1-based) are those of slots
-- that it took back. A job that is not in the set any more does not count: another pool has moved
-- it.

local queue_count = tonumber(ARGV[2])
local first_job = 4 + queue_count
local usable, batches = {}, {}
for q = 1, queue_count do
  local found = redis.call('TYPE', KEYS[5 + q])['ok']
  usable[q] = found == 'list' or found == 'none'
  batches[q] = {}
end

-- The pool may have read the entries some time ago: check again.
local function is_retired(said)
  local seen, field = string.match(said, '^%d+ (%S*) (.*)$')
  return seen and redis.pcall('HGET', KEYS[5], field) == seen
end

local buried, dropped, left, moved, taken = 0, 0, 0, 0, {}
for at = first_job, #ARGV, 5 do
  local raw, new = ARGV[at], ARGV[at + 1]
  local queue, slot = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  if queue > 0 and not usable[queue] then
    left = left + 1
  elseif redis.call('ZREM', KEYS[1], raw) == 1 then
    local slot_key = KEYS[5 + queue_count + slot]
    local known = slot > 0 and redis.pcall('GET', slot_key)
    if queue == 0 then
      redis.call('ZADD', KEYS[3], ARGV[1], new)
      buried = buried + 1
    elseif type(known) == 'string' and known ~= 'scheduled' then
      dropped = dropped + 1
    elseif type(known) == 'string' and is_retired(ARGV[at + 4]) then
      local due_at, field = string.match(ARGV[at + 4], '^(%d+) %S* (.*)$')
      redis.call('DEL', slot_key)
      if (tonumber(redis.call('HGET', KEYS[4], field)) or 0) >= tonumber(due_at) then
        redis.call('HSET', KEYS[4], field, due_at - 1)
      end
      taken[#taken + 1] = (at - first_job) / 5 + 1
    else
      if slot > 0 then
        redis.call('SET', slot_key, 'queued', 'EX', ARGV[3])
      end
      local batch = batches[queue]
      batch[#batch + 1] = new
    end
  end
end
for q = 1, queue_count do
  if #batches[q] > 0 then
    local batch = batches[q]
    for from = 1, #batch, 1000 do
      redis.call('LPUSH', KEYS[5 + q], unpack(batch, from, math.min(from + 999, #batch)))
    end
    redis.call('SADD', KEYS[2], ARGV[3 + q])
    moved = moved + #batches[q]
  end
end
return {moved, buried, dropped, left, taken}
