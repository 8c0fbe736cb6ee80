-- Record an action on jobs before it begins: who does what, and so that anybody can undo it.
--
-- KEYS[1]  trash      zset
-- KEYS[2]  trash:OP   hash
-- KEYS[3]  acts       stream
-- KEYS[4]  acts:head  hash
--
-- ARGV[1]  OP   ARGV[2]  now, epoch s   ARGV[3]  for how many seconds the action can be undone
-- ARGV[4]  until when it can be undone, epoch s
-- ARGV[5]  the server's time, epoch ms   ARGV[6]  how many acts to keep   ARGV[7]  the act, JSON
-- then fields of the hash and their values
--
-- Returns 1, or "t": the record of acts has a wrong type, and nothing was noted.
--
-- It first drops expired actions. A full server allows that write, and then the writes that follow,
-- so that users can delete jobs there.

-- part: acts

if not acts_usable(KEYS[3], KEYS[4]) then return 't' end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[2])
append_act(KEYS[3], KEYS[4], ARGV[5], ARGV[6], ARGV[7], '')
for at = 8, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 1]) end
redis.call('EXPIRE', KEYS[2], ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[4], ARGV[1])
return 1
