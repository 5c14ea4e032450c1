-- epoch (channel user)*
if redis.call('HGET', KEYS[1], 'e') ~= ARGV[4] then return {EPOCH} end
local waiting, out = {}, {OK}
for _, entry in ipairs(redis.call('XRANGE', KEYS[2], '-', '+')) do
  waiting[pack(entry[2][4], entry[2][6])] = true
end
for k = 3, #KEYS do
  local a = 5 + (k - 3) * 2
  local channel, user = ARGV[a], ARGV[a + 1]
  out[#out + 1] = redis.call('HEXISTS', KEYS[k], user ~= '' and user or channel)
  out[#out + 1] = waiting[pack(channel, user)] and 1 or 0
end
return out
