-- Put a unique job into its queue or the scheduled set unless its key is held.
--
-- KEYS[1]  known_jobs              set
-- KEYS[2]  jobs:NAME or scheduled  list or zset
-- KEYS[3]  the unique key          string
-- ARGV[1]  name   ARGV[2] job   ARGV[3] value of the key: "1", or the job that is to run
-- ARGV[4]  seconds that the key lives   ARGV[5] when it is due, epoch s; "" for now
-- ARGV[6]  "1" if a refused duplicate gives its value to the job that waits
--
-- Returns 1 if it was enqueued, 0 if the key was held. A refused duplicate never prolongs the key.

-- part: fields

-- Check before the first write: a wrong type must not leave a key without its job.
local found = redis.call('TYPE', KEYS[2])['ok']
if found ~= 'none' and found ~= (ARGV[5] == '' and 'list' or 'zset') then
  return redis.error_reply('WRONGTYPE ' .. KEYS[2] .. ' holds a ' .. found)
end
redis.call('SADD', KEYS[1], ARGV[1])
if not redis.call('SET', KEYS[3], ARGV[3], 'NX', 'EX', ARGV[4]) then
  -- A job that holds its key until it is done keeps its args: the key holds its payload, and the
  -- payload names the owner.
  local waiting = redis.pcall('GET', KEYS[3])
  local fixed = type(waiting) == 'string' and field_of(waiting, 'unique_until') == 'done'
  if ARGV[6] == '1' and not fixed then
    redis.call('SET', KEYS[3], ARGV[3], 'XX', 'KEEPTTL')
  end
  return 0
end
local written
if ARGV[5] == '' then
  written = redis.pcall('LPUSH', KEYS[2], ARGV[2])
else
  written = redis.pcall('ZADD', KEYS[2], ARGV[5], ARGV[2])
end
if type(written) == 'table' then  -- the server refuses the command: a key without its job would stay
  redis.pcall('DEL', KEYS[3])
  return written
end
return 1
