-- inc epoch wants (index channel count most publish)*
local meta, nodes, counts, edges = unpack(KEYS, 1, 4)
local no = guard(meta, nodes)
if no then return {no} end
local out, wants = {OK}, wanted(ARGV[6])
for k = 5, #KEYS do
  local a = 8 + (k - 5) * 5
  local channel, n, most = ARGV[a], tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  if most then
    local mine = tonumber(redis.call('HGET', counts, channel) or '0')
    local free = math.max(0, most - tonumber(redis.call('HGET', KEYS[k], channel) or '0'))
    if n > mine then n = math.min(n, mine + free) end
  end
  local total = count(counts, KEYS[k], edges, channel, n, wants)
  out[#out + 1] = n
  out[#out + 1] = total
  if ARGV[a + 3] ~= '0' then redis.call(pub, topic(channel), 'C ' .. text(total)) end
end
return out
