-- Returns an error if the server lacks one of the commands or refuses it to the user, else nil. Each
-- is {command, key}. A script that is refused in the middle would leave a job nowhere.
local function refused(commands)
  if not redis.acl_check_cmd then return end
  for _, needed in ipairs(commands) do
    local known, allowed = pcall(redis.acl_check_cmd, needed[1], needed[2], '1', '1')
    if not known then return redis.error_reply("ERR unknown command '" .. needed[1] .. "'") end
    if not allowed then
      return redis.error_reply(
        'NOPERM this user may not call ' .. needed[1] .. ' on ' .. needed[2] .. '; nothing was done'
      )
    end
  end
end
