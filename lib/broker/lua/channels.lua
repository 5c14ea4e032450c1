-- index prefix cursor limit. The rosters are not in KEYS, for their names are found here.
local found = redis.call('HSCAN', KEYS[1], ARGV[6], 'MATCH', (string.gsub(ARGV[5], '[%*%?%[%]\\]', '\\%0')) .. '*',
                         'COUNT', math.max(1, tonumber(ARGV[7])))
local out = {OK}
for i = 1, #found[2], 2 do
  local members = redis.call('HLEN', X .. 'r:' .. found[2][i])
  out[#out + 1] = found[2][i]
  out[#out + 1] = found[2][i + 1]
  out[#out + 1] = members > 0 and members - 1 or 0
end
out[#out + 1] = found[1]
return out
