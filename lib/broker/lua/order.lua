-- body keep
local orders, nodes = unpack(KEYS)
local last = redis.call('XREVRANGE', orders, '+', '-', 'COUNT', 1)
local before = last[1] and last[1][1] or '0-0'
local number = redis.call('XADD', orders, 'MAXLEN', ARGV[5], id(), 'b', ARGV[4])
redis.call(pub, X .. 'o', number .. ' ' .. before .. '\n' .. ARGV[4])
local out, names = {OK, number}, redis.call('ZRANGE', nodes, 0, -1)
table.sort(names)
for _, name in ipairs(names) do out[#out + 1] = name end
return out
