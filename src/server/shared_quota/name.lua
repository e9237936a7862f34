-- An edge takes its name, before it says anything under it; name.rs says why.
--
-- KEYS[1]  a sorted set: an edge's name by the time of its last report.
-- KEYS[2]  a hash: an edge's name -> "process part".
-- ARGV     edge, process, the process before it, milliseconds after a report by which that one
--          would have reported again, whether that one has handed over or ended.
-- Answers  {time, 1}: it is this process's; {time, 0}: another process's; {time, 2, when it
--          reported last}: the process before may still go by it.
local edge, process, earlier = ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local row = redis.call('HGET', KEYS[2], edge)
local owner = row and string.match(row, '^(%S+)')
if not owner or owner == process then
  return {now, 1}
end
if owner ~= earlier then
  return {now, 0}
end
local reported = tonumber(redis.call('ZSCORE', KEYS[1], edge) or '0')
if ARGV[5] ~= '1' and now - reported < tonumber(ARGV[4]) then
  return {now, 2, reported}
end
redis.call('HSET', KEYS[2], edge, process .. string.match(row, '^%S+(.*)$'))
return {now, 1}
