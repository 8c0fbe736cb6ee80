-- Pause or unpause a queue, and record that.
--
-- KEYS[1]  jobs:NAME:paused  string
-- KEYS[2]  acts              stream
-- KEYS[3]  acts:head         hash
--
-- ARGV[1]  "1" to pause, "0" to unpause
-- ARGV[2]  the server's time, epoch ms   ARGV[3]  how many acts to keep   ARGV[4]  the act, JSON
--
-- Returns 1 if it was paused before, otherwise 0; "t": the record of acts has a wrong type, and
-- nothing was done.
--
-- The act is recorded first: an error of the server then leaves the queue as it was. It is recorded
-- with "1" or "0", what the script returns. A key with the value "0" does not pause, but it is
-- deleted as well.

-- part: acts

if not acts_usable(KEYS[2], KEYS[3]) then return 't' end
local value = redis.pcall('GET', KEYS[1])
local was = redis.call('EXISTS', KEYS[1])
if value == '0' and ARGV[1] == '1' then was = 0 end
append_act(KEYS[2], KEYS[3], ARGV[2], ARGV[3], ARGV[4], tostring(was))
if ARGV[1] == '1' then
  redis.call('SET', KEYS[1], '1')
else
  redis.call('DEL', KEYS[1])
end
return was
