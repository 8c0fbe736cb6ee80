-- Record an action on jobs before it begins, so that anybody can undo it.
--
-- KEYS[1]  trash     zset
-- KEYS[2]  trash:OP  hash
--
-- ARGV[1]  OP   ARGV[2]  now, epoch s   ARGV[3]  for how many seconds the action can be undone
-- ARGV[4]  until when it can be undone, epoch s
-- then fields of the hash and their values
--
-- Returns 1.
--
-- It first drops expired actions. A full server allows that write, and then the writes that follow,
-- so that users can delete jobs there.

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
for at = 5, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
return 1
