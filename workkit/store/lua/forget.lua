-- Remove a dead pool that holds no jobs any more.
--
-- KEYS[1]  worker_pools      set
-- KEYS[2]  worker_pools:ID   hash
-- then three a queue: inprogress, lock, lock_info; then the observation of each worker
--
-- ARGV[1]  pool id   ARGV[2] its heartbeat_at as the reaper watched it, "" if it had none
-- ARGV[3]  number of queues
--
-- Returns how many jobs the pool still holds (then it stays), or -1 if it came back to life.

-- A heartbeat of a wrong type counts as missing; it must not stop the reaper from checking others.
local beat = redis.pcall('HGET', KEYS[2], 'heartbeat_at')
if (type(beat) == 'string' and beat or '') ~= ARGV[2] then return -1 end
local last = 2 + 3 * tonumber(ARGV[3])
local held = 0
for k = 3, last, 3 do
  local length = redis.pcall('LLEN', KEYS[k])
  if type(length) == 'number' then held = held + length end
end
if held > 0 then return held end
for k = 3, last, 3 do
  -- Do not subtract the pool's count: a Go pool may have released too much. Add up the others.
  if redis.pcall('HDEL', KEYS[k + 2], ARGV[1]) == 1 then
    local total = 0
    for _, count in ipairs(redis.call('HVALS', KEYS[k + 2])) do
      total = total + math.max(tonumber(count) or 0, 0)
    end
    redis.call('SET', KEYS[k + 1], string.format('%.0f', total))
  end
end
for k = last + 1, #KEYS do redis.call('DEL', KEYS[k]) end
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
return 0
