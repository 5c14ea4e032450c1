-- inc epoch (id)*
local meta, nodes, edges = unpack(KEYS)
local no = guard(meta, nodes)
if no then return {no} end
if redis.call('HGET', meta, 'o') ~= ARGV[4] then return {'NOT_OWNER'} end
for i = 6, #ARGV do
  if string.find(ARGV[i], '^%d+%-%d+$') then redis.call('XDEL', edges, ARGV[i]) end
end
return {OK}
