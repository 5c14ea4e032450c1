-- In front of each script. A script is one step of an authority (pusherc/cluster.h); lib/cluster/steps.c says the same in C.
--
-- KEYS: as the table in broker/steps.c says. ARGV: the time in microseconds (empty: Redis's), the command that publishes, what
-- all keys of the partition begin with, then the step's arguments.
--
-- Each key is in KEYS, but for the rosters that channels.lua finds; all are of one partition, so of one slot. The first write
-- is one that Redis refuses when it has no memory left, so a step is done as a whole or not at all. Numbers leave Lua by
-- text(): tostring() of a large double is not an integer.
local OK, EPOCH, FENCED = 'OK', 'EPOCH', 'FENCED'
local pub, X = ARGV[2], ARGV[3]
local function text(n)
  return string.format('%.0f', n)
end
local function clock_us()
  if ARGV[1] ~= '' then return tonumber(ARGV[1]) end
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000000 + tonumber(t[2])
end
local function clock()
  return math.floor(clock_us() / 1000)
end
-- The id of a new entry of a stream.
local function id()
  return ARGV[1] == '' and '*' or text(clock()) .. '-*'
end
local function guard(meta, nodes)
  if redis.call('HGET', meta, 'e') ~= ARGV[5] then return EPOCH end
  if not redis.call('ZSCORE', nodes, ARGV[4]) then return FENCED end
end
local function topic(channel)
  return X .. 't/' .. channel
end
local function pack(channel, user)
  return #channel .. ':' .. channel .. user
end
local function unsettled(meta)
  local u = redis.call('HGET', meta, 'u')
  return (u and u ~= '0') and 1 or 0
end
-- Every incarnation has said what it holds, and the time is over.
local function settle(meta, unsynced, now)
  local u = redis.call('HGET', meta, 'u')
  if u and u ~= '0' and now >= tonumber(u) and redis.call('SCARD', unsynced) == 0 then
    redis.call('HSET', meta, 'u', '0')
    redis.call(pub, X .. 'p', 'S ' .. redis.call('HGET', meta, 'e'))
  end
end
local function edge(edges, kind, channel, user)
  if string.find(channel, '/#', 1, true) then return end -- a limit is counted as a channel is, and is none
  redis.call('XADD', edges, 'MAXLEN', '~', '100000', id(), 'k', kind, 'c', channel, 'u', user)
  if #redis.call('XRANGE', edges, '-', '+', 'COUNT', 2) == 1 then redis.call(pub, X .. 'p', 'T') end -- the teller may rest
end
local function wanted(arg)
  return arg ~= '0' and arg or nil
end
-- Numbers a change of a roster, chains it to the one before, and publishes it. The field '' has the last number.
local function change(meta, roster, channel, body)
  local before = redis.call('HGET', roster, '') or '0'
  local number = text(redis.call('HINCRBY', meta, 's', 1))
  redis.call(pub, topic(channel), number .. ' ' .. before .. ' ' .. redis.call('HGET', meta, 'e') .. '\n' .. body)
  return number
end
-- A member is stored as "<holders> <number> <info>".
local function member(value)
  local holders, number, info = string.match(value, '^(%d+) (%d+) (.*)$')
  return tonumber(holders), number, info
end
-- Takes a hold away: 1 if it was the user's last one.
local function drop(meta, hold, roster, edges, channel, user, wants)
  local held = pack(channel, user)
  if redis.call('SISMEMBER', hold, held) == 0 then return 0 end
  local value = redis.call('HGET', roster, user)
  if not value then
    redis.call('SREM', hold, held)
    return 0
  end
  local holders, number, info = member(value)
  if holders > 1 then
    redis.call('HSET', roster, user, text(holders - 1) .. ' ' .. number .. ' ' .. info)
    redis.call('SREM', hold, held)
    return 0
  end
  number = change(meta, roster, channel, '-' .. #user .. ':' .. user)
  redis.call('SREM', hold, held)
  redis.call('HDEL', roster, user)
  if redis.call('HLEN', roster) <= 1 then redis.call('DEL', roster) else redis.call('HSET', roster, '', number) end
  if wants then edge(edges, 'removed', channel, user) end
  return 1
end
-- Sets an incarnation's number of subscriptions of a channel. Returns that of all. `wants`: nil, '1' for edges, '2' for
-- each total as well.
local function count(counts, totals, edges, channel, n, wants)
  local mine = tonumber(redis.call('HGET', counts, channel) or '0')
  if n == mine then return tonumber(redis.call('HGET', totals, channel) or '0') end
  local after = redis.call('HINCRBY', totals, channel, n - mine)
  local before = after - (n - mine)
  if n == 0 then redis.call('HDEL', counts, channel) else redis.call('HSET', counts, channel, text(n)) end
  if after <= 0 then redis.call('HDEL', totals, channel) end
  if wants and before <= 0 and after > 0 then edge(edges, 'occupied', channel, '') end
  if wants and after <= 0 and before > 0 then edge(edges, 'vacated', channel, '') end
  if wants == '2' and after > 0 then edge(edges, 'counted', channel, text(after)) end
  return after
end
