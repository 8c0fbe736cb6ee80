-- Record an act, or how it ended.
--
-- KEYS[1]  acts       stream
-- KEYS[2]  acts:head  hash
--
-- ARGV[1]  the server's time, epoch ms   ARGV[2]  how many entries to keep   ARGV[3]  the act, JSON
--
-- Returns 1, or "t": a key has a wrong type, and nothing was recorded.

-- part: acts

if not acts_usable(KEYS[1], KEYS[2]) then return 't' end
append_act(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], '')
return 1
