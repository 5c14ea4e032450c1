-- inc epoch since limit
local meta, nodes, edges = unpack(KEYS)
local no = guard(meta, nodes)
if no then return {no} end
if redis.call('HGET', meta, 'o') ~= ARGV[4] then return {'NOT_OWNER'} end
local out = {OK, text(clock())}
for _, entry in ipairs(redis.call('XRANGE', edges, '(' .. ARGV[6], '+', 'COUNT', ARGV[7])) do
  local fields = entry[2]
  out[#out + 1] = entry[1]
  for i = 2, 6, 2 do out[#out + 1] = fields[i] end
end
return out
