-- An edge tells what was switched on or off there; switches.rs says what it means.
--
-- KEYS[1]  a hash: a switch's place -> "stamp row"; "=version" changes with each change.
-- ARGV     place, stamp and row of each. The latest of a place stands, and of two the first.
-- Answers  how many stand.
local stand = 0
for at = 1, #ARGV, 3 do
  local before = redis.call('HGET', KEYS[1], ARGV[at])
  local stamp = before and tonumber(string.match(before, '^(%d+) ')) or -1
  if tonumber(ARGV[at + 1]) > stamp then
    redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1] .. ' ' .. ARGV[at + 2])
    stand = stand + 1
  end
end
if stand > 0 then
  redis.call('HINCRBY', KEYS[1], '=version', 1)
end
redis.call('EXPIRE', KEYS[1], 40 * 86400)
return stand
