-- An edge reports that it is there; src/policy/quotas/membership.rs says what for.
--
-- KEYS[1]  a sorted set: an edge's name by the time of its last report.
-- KEYS[2]  a hash: an edge's name -> "process sharers", the process that goes by that name and
--          the fewest sharers it may know of.
-- ARGV     edge, process, the process before it, sharers it knows of, milliseconds for which an
--          edge is there, and after which it is forgotten, how many to name that are away.
-- Answers  {1, known, present, sharers, name, sharers, name, ...} or {0}: another process goes by
--          that name.
local edge, process, earlier = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local known = redis.call('HGET', KEYS[2], edge)
if known then
  local owner = string.match(known, '^(%S+)')
  if owner ~= process and owner ~= earlier then
    return {0}
  end
end

local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - tonumber(ARGV[6]), 'LIMIT', 0, 100)
for _, name in ipairs(over) do
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
redis.call('ZADD', KEYS[1], now, edge)
local sharers = redis.call('ZCARD', KEYS[1])
local fewest = math.min(sharers, tonumber(ARGV[4]))
redis.call('HSET', KEYS[2], edge, process .. ' ' .. fewest)
redis.call('EXPIRE', KEYS[1], 86400)
redis.call('EXPIRE', KEYS[2], 86400)

local from = now - tonumber(ARGV[5])
local present = redis.call('ZCOUNT', KEYS[1], from, '+inf')
local answer = {1, known and 1 or 0, present, sharers}
local away = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. from, 'LIMIT', 0, tonumber(ARGV[7]))
for _, name in ipairs(away) do
  local of = redis.call('HGET', KEYS[2], name)
  answer[#answer + 1] = name
  answer[#answer + 1] = of and tonumber(string.match(of, ' (%d+)$')) or 1
end
return answer
