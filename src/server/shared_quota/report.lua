-- An edge reports that it is there, or leaves; src/policy/quotas/membership.rs says what for, and
-- Pool in the tests of quotas says the same as this.
--
-- KEYS[1]  a sorted set: an edge's name by the time of its last report.
-- KEYS[2]  a hash: an edge's name -> "process part", the process that goes by that name, and the
--          most that its part may be, in 2^40ths; "=parts" is their sum.
-- ARGV     edge, process, the process before it, it goes by one in so many (0: no part),
--          until when this is of use, milliseconds for which an edge is there, and after which
--          it is forgotten, how many to name that are away, whether it leaves.
-- Answers  {1, time, known, part, present, sharers, more, name, part, name, part, ...}, parts as
--          one in so many, more the sum of those that are away and not named, in 2^40ths; or {0}:
--          another process goes by that name; or {2, time}: that was of no use any more.
local edge, process, earlier = ARGV[1], ARGV[2], ARGV[3]
local whole = 1099511627776
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local written = function(value) return string.format('%.0f', value) end
local part_of = function(row) return row and tonumber(string.match(row, ' (%d+)$')) or 0 end
local one_in = function(part) return part > 0 and math.floor(whole / part) or 0 end

local row = redis.call('HGET', KEYS[2], edge)
local owner = row and string.match(row, '^(%S+)')
if owner and owner ~= process and owner ~= earlier then
  return {0}
end
if now > tonumber(ARGV[5]) then
  return {2, now}
end

local sum = tonumber(redis.call('HGET', KEYS[2], '=parts') or '0')
local forget = function(name)
  sum = sum - part_of(redis.call('HGET', KEYS[2], name))
  redis.call('ZREM', KEYS[1], name)
  redis.call('HDEL', KEYS[2], name)
end
local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. (now - tonumber(ARGV[7])), 'LIMIT', 0, 100)
for _, name in ipairs(over) do
  if name ~= edge then forget(name) end
end
if ARGV[9] == '1' then
  forget(edge)
  redis.call('HSET', KEYS[2], '=parts', written(sum))
  return {1, now, 1, 0, 0, 0, 0}
end

redis.call('ZADD', KEYS[1], now, edge)
local sharers = redis.call('ZCARD', KEYS[1])
sum = sum - part_of(row)
local room = math.max(0, whole - sum)
-- Never the whole: who is alone may be gone for good.
local answered = math.max(2, sharers)
local part = math.floor(whole / answered)
if part > room then
  answered = room > 0 and math.ceil(whole / room) or 0
  part = answered > 0 and math.floor(whole / answered) or 0
end
local goes_by = tonumber(ARGV[4])
local most = part
if goes_by > 0 then
  most = math.max(part, math.floor(whole / goes_by))
end
redis.call('HSET', KEYS[2], edge, process .. ' ' .. written(most), '=parts', written(sum + most))
redis.call('EXPIRE', KEYS[1], 86400)
redis.call('EXPIRE', KEYS[2], 86400)

local from = now - tonumber(ARGV[6])
local away = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. from)
local named, more, rows = tonumber(ARGV[8]), 0, {}
for _, name in ipairs(away) do
  local its = part_of(redis.call('HGET', KEYS[2], name))
  if its > 0 and #rows < named * 2 then
    rows[#rows + 1] = name
    rows[#rows + 1] = one_in(its)
  else
    more = more + its
  end
end
local answer = {1, now, row and 1 or 0, answered, sharers - #away, sharers, more}
for at = 1, #rows do answer[#answer + 1] = rows[at] end
return answer
