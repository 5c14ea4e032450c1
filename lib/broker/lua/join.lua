-- inc epoch channel user info most force wants
local meta, nodes, hold, roster, edges = unpack(KEYS)
local channel, user, info = ARGV[6], ARGV[7], ARGV[8]
local no = guard(meta, nodes)
if no then return {no} end
local value = redis.call('HGET', roster, user)
if not value and ARGV[10] == '0' then
  local members = redis.call('HLEN', roster)
  if members > 0 then members = members - 1 end
  if members >= tonumber(ARGV[9]) then return {'FULL'} end
end
if redis.call('SISMEMBER', hold, pack(channel, user)) == 1 then
  return {OK, redis.call('HGET', roster, '') or '0', 0}
end
if value then
  local holders, number, old = member(value)
  redis.call('HSET', roster, user, text(holders + 1) .. ' ' .. number .. ' ' .. old)
  redis.call('SADD', hold, pack(channel, user))
  return {OK, redis.call('HGET', roster, ''), 0}
end
local number = change(meta, roster, channel, '+' .. #user .. ':' .. user .. info)
redis.call('HSET', roster, user, '1 ' .. number .. ' ' .. info, '', number)
redis.call('SADD', hold, pack(channel, user))
if ARGV[11] ~= '0' then edge(edges, 'added', channel, user) end
return {OK, number, 1}
