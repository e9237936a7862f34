-- An edge tells what was switched on or off there; switches.rs says what it means.
--
-- KEYS[1]  a hash: a switch's place -> "stamp row"; "=version" changes with each change.
-- ARGV     place, stamp and row of each. The latest of a place stands, and of two the first.
--          Without a row: the place is forgotten if it still has that stamp.
-- Answers  how many rows stand.
local stand = 0
for at = 1, #ARGV, 3 do
  local before = redis.call('HGET', KEYS[1], ARGV[at])
  local stamp = before and tonumber(string.match(before, '^(%d+) ')) or -1
  local said = tonumber(ARGV[at + 1])
  if ARGV[at + 2] == '' then
    if said == stamp then redis.call('HDEL', KEYS[1], ARGV[at]) end
  elseif said > stamp then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1] .. ' ' .. ARGV[at + 2])
    stand = stand + 1
  end
end
if stand > 0 then
  -- By the time, so that it is another one also where all was lost.
  local time = redis.call('TIME')
  local version = tonumber(time[1]) * 1000000 + tonumber(time[2])
  redis.call('HSET', KEYS[1], '=version', string.format('%.0f', version))
end
redis.call('EXPIRE', KEYS[1], 40 * 86400)
return stand
