-- Returns the JSON text, without its quotes, of a string field at the top level of a payload; nil
-- if there is no such field. Fields may be in any order: a Go pool writes them in another order.
local function field_of(payload, name)
  local function text_at(from)
    local at = from
    while true do
      local stop, _, mark = string.find(payload, '(["\\])', at)
      if not stop then return '', #payload end
      if mark == '"' then return string.sub(payload, from, stop - 1), stop end
      at = stop + 2
    end
  end
  local depth, at = 0, 1
  while true do
    local from, _, mark = string.find(payload, '(["{}%[%]])', at)
    if not from then return end
    at = from + 1
    if mark == '"' then
      local text, to = text_at(at)
      at = to + 1
      if depth == 1 and text == name and string.find(payload, '^%s*:', at) then
        local value_at = string.match(payload, '^%s*:%s*"()', at)
        return value_at and (text_at(value_at))
      end
    else
      depth = depth + ((mark == '{' or mark == '[') and 1 or -1)
    end
  end
end
