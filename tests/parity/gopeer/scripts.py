"""The server side of the original: scripts with the same effects in the same order.

The order matters as much as the effects, since a script that fails midway keeps its first effects.
"""

from __future__ import annotations

from typing import Final

#: Takes the next job from the first queue that may be worked on.
#:
#: KEYS: six a queue: queue, in-progress list, pause flag, lock, lock_info, max_concurrency.
#: ARGV: 1 the pool's id.
#: Returns the job, its queue and its in-progress list, or nil.
FETCH: Final = """
for at = 1, #KEYS, 6 do
  local queue, mine, pause = KEYS[at], KEYS[at + 1], KEYS[at + 2]
  local lock, holders = KEYS[at + 3], KEYS[at + 4]
  local limit = tonumber(redis.call('GET', KEYS[at + 5]))
  if redis.call('LLEN', queue) > 0 and not redis.call('GET', pause) then
    local running = tonumber(redis.call('GET', lock))
    local free = not limit or limit == 0 or not running or running < limit
    if free then
      redis.call('INCR', lock)
      redis.call('HINCRBY', holders, ARGV[1], 1)
      return {redis.call('RPOPLPUSH', queue, mine), queue, mine}
    end
  end
end
return nil
"""

#: Gives back one job of a dead pool; it lands at the end of its queue.
#:
#: KEYS: four a queue: in-progress list, queue, lock, lock_info.
#: ARGV: 1 the dead pool's id.
#: Returns the job, or nil when nothing is left.
RECOVER: Final = """
for at = 1, #KEYS, 4 do
  local job = redis.call('RPOPLPUSH', KEYS[at], KEYS[at + 1])
  if job then
    redis.call('DECR', KEYS[at + 2])
    redis.call('HINCRBY', KEYS[at + 3], ARGV[1], -1)
    return job
  end
end
return nil
"""

#: Takes back what a dead pool still holds of each lock.
#:
#: KEYS: two a queue: lock, lock_info.
#: ARGV: 1 the dead pool's id.
#: Returns nil.
RELEASE: Final = """
for at = 1, #KEYS, 2 do
  local held = tonumber(redis.call('HGET', KEYS[at + 1], ARGV[1]))
  if held then
    redis.call('DECRBY', KEYS[at], held)
    redis.call('HDEL', KEYS[at + 1], ARGV[1])
    if tonumber(redis.call('GET', KEYS[at])) < 0 then
      redis.call('SET', KEYS[at], 0)
    end
  end
end
return nil
"""

# Whether a queue is among the keys that the caller declared.
_DECLARED: Final = """
local function declared(queue)
  for at = 1, #KEYS do
    if KEYS[at] == queue then return true end
  end
  return false
end
"""

#: Moves the first due job to its queue, or to dead when the caller does not know its name.
#:
#: KEYS: 1 the sorted set, 2 dead, 3… the queues that the caller works on.
#: ARGV: 1 the prefix of queues, 2 the time in epoch seconds.
#: Returns 'ok', 'dead', or nil when nothing is due.
REQUEUE: Final = (
    _DECLARED
    + """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, 1)[1]
if not due then return nil end
local job = cjson.decode(due)
redis.call('ZREM', KEYS[1], due)
local queue = ARGV[1] .. job['name']
local now = tonumber(ARGV[2])
if declared(queue) then
  job['t'] = now
  redis.call('LPUSH', queue, cjson.encode(job))
  return 'ok'
end
job['err'] = 'unknown job when requeueing'
job['failed_at'] = now
redis.call('ZADD', KEYS[2], ARGV[2], cjson.encode(job))
return 'dead'
"""
)

#: Deletes the jobs with one score and one id.
#:
#: KEYS: 1 the sorted set.
#: ARGV: 1 the score, 2 the id.
#: Returns how many were deleted, and the last of them.
DELETE: Final = """
local deleted, last = 0, ''
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[1])) do
  if cjson.decode(member)['id'] == ARGV[2] then
    redis.call('ZREM', KEYS[1], member)
    deleted, last = deleted + 1, member
  end
end
return {deleted, last}
"""

# Takes a dead job out; back it goes to its queue, or to dead five seconds ahead.
_REVIVE: Final = (
    _DECLARED
    + """
local function revive(member, job)
  redis.call('ZREM', KEYS[1], member)
  local queue = ARGV[1] .. job['name']
  local now = tonumber(ARGV[2])
  if declared(queue) then
    job['t'] = now
    -- One by one: even an absent field that is cleared may change the order of the others.
    job['fails'] = nil
    job['failed_at'] = nil
    job['err'] = nil
    redis.call('LPUSH', queue, cjson.encode(job))
    return 1
  end
  job['err'] = 'unknown job when requeueing'
  job['failed_at'] = now
  redis.call('ZADD', KEYS[1], now + 5, cjson.encode(job))
  return 0
end
local revived = 0
"""
)

#: Retries the dead jobs with one score and one id.
#:
#: KEYS: 1 dead, 2… the known queues.
#: ARGV: 1 the prefix of queues, 2 the time in epoch seconds, 3 the score, 4 the id.
#: Returns how many went back to a queue.
RETRY_ONE: Final = (
    _REVIVE
    + """
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[3], ARGV[3])) do
  local job = cjson.decode(member)
  if job['id'] == ARGV[4] then
    revived = revived + revive(member, job)
  end
end
return revived
"""
)

#: Retries the dead jobs that died first.
#:
#: KEYS: 1 dead, 2… the known queues.
#: ARGV: 1 the prefix of queues, 2 the time in epoch seconds, 3 how many at most.
#: Returns how many went back to a queue.
RETRY_ALL: Final = (
    _REVIVE
    + """
for _, member in ipairs(
  redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
) do
  revived = revived + revive(member, cjson.decode(member))
end
return revived
"""
)

# The branch that refuses a duplicate still stores its payload, and prolongs the key.
_UNIQUE: Final = """
if not redis.call('SET', KEYS[2], ARGV[2], 'NX', 'EX', 86400) then
  redis.call('SET', KEYS[2], ARGV[2], 'EX', 86400)
  return 'dup'
end
"""

#: Enqueues a job unless its unique key is taken.
#:
#: KEYS: 1 the queue, 2 the unique key.
#: ARGV: 1 the job, 2 what the key shall hold.
#: Returns 'ok' or 'dup'.
ENQUEUE_UNIQUE: Final = (
    _UNIQUE
    + """
redis.call('LPUSH', KEYS[1], ARGV[1])
return 'ok'
"""
)

#: Schedules a job unless its unique key is taken.
#:
#: KEYS: 1 scheduled, 2 the unique key.
#: ARGV: 1 the job, 2 what the key shall hold, 3 the time to run at in epoch seconds.
#: Returns 'ok' or 'dup'.
SCHEDULE_UNIQUE: Final = (
    _UNIQUE
    + """
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
return 'ok'
"""
)
