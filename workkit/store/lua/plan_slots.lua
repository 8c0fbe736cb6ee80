-- Schedule the next slots of one cron entry, each once.
--
-- KEYS[1]  scheduled               zset
-- KEYS[2]  known_jobs              set
-- KEYS[3]  periodic                hash
-- KEYS[4]  last_periodic_enqueue   string
-- KEYS[5]  periodic_seen           hash
-- KEYS[6]  periodic_peer           string
-- then one slot key a slot
--
-- ARGV[1]  job name   ARGV[2] field of the entry in `periodic`
-- ARGV[3]  planned until, epoch s   ARGV[4] now, epoch s   ARGV[5] seconds that slot marks are kept
-- then two a slot: epoch s, job
--
-- Returns how many slots were new. A slot is new while its key does not exist; this does not depend
-- on the pools' clocks. The script writes `last_periodic_enqueue` for Go pools. Before that, it
-- saves the time that a Go pool has written there in `periodic_peer`.

redis.call('SADD', KEYS[2], ARGV[1])
local new = 0
for k = 7, #KEYS do
  local at = 6 + (k - 7) * 2
  if redis.call('SET', KEYS[k], 'scheduled', 'NX', 'EX', ARGV[5]) then
    redis.call('ZADD', KEYS[1], ARGV[at], ARGV[at + 1])
    new = new + 1
  end
end
local until_before = tonumber(redis.call('HGET', KEYS[3], ARGV[2]) or '0') or 0
if tonumber(ARGV[3]) > until_before then redis.call('HSET', KEYS[3], ARGV[2], ARGV[3]) end
redis.call('HSET', KEYS[5], ARGV[2], ARGV[4])
local known = redis.pcall('GET', KEYS[6])
local ours, peer = string.match(type(known) == 'string' and known or '', '^(%S*) (%S*)$')
local last = redis.pcall('GET', KEYS[4])
if type(last) == 'string' and last ~= ours then peer = last end
-- 3 s older, so that a Go pool still plans the entries that only it has.
ours = string.format('%.0f', ARGV[4] - 3)
redis.call('SET', KEYS[4], ours)
redis.call('SET', KEYS[6], ours .. ' ' .. (peer or ''))
return new
