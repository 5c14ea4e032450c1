-- epoch (channel number members)*
if redis.call('HGET', KEYS[1], 'e') ~= ARGV[4] then return {EPOCH} end
local out = {OK}
for k = 2, #KEYS do
  local a = 5 + (k - 2) * 3
  local there = redis.call('HLEN', KEYS[k])
  if there > 0 then there = there - 1 end
  if there ~= tonumber(ARGV[a + 2]) or (there > 0 and redis.call('HGET', KEYS[k], '') ~= ARGV[a + 1]) then
    out[#out + 1] = ARGV[a]
  end
end
return out
