-- (channel)*
local out = {OK}
for i = 4, #ARGV do
  local k = 2 * (i - 4)
  local members = redis.call('HLEN', KEYS[k + 2])
  out[#out + 1] = redis.call('HGET', KEYS[k + 1], ARGV[i]) or '0'
  out[#out + 1] = members > 0 and members - 1 or 0
end
return out
