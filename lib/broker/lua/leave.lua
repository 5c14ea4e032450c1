-- inc epoch channel user wants
local meta, nodes, hold, roster, edges = unpack(KEYS)
local no = guard(meta, nodes)
if no then return {no} end
return {OK, drop(meta, hold, roster, edges, ARGV[6], ARGV[7], ARGV[8] ~= '0')}
