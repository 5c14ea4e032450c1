-- inc epoch
local meta, nodes, unsynced = unpack(KEYS)
local no = guard(meta, nodes)
if no then return {no} end
redis.call('SREM', unsynced, ARGV[4])
settle(meta, unsynced, clock())
return {OK, unsettled(meta)}
