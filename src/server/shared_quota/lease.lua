-- One edge's question about one window of one quota; src/policy/quotas/lessee.rs says what it
-- means, and Pool in its tests says the same as this.
--
-- KEYS[1]  a hash: an edge's name -> "number leased used"; "=leased" and "=used" are their sums;
--          "=relearns": until then, in milliseconds, nothing is lent; "=parts": those that have
--          asked have so much of what is reserved, in 2^40ths.
-- ARGV     edge, number, used, held, wanted, limit, reserved, present, takes, takes up,
--          milliseconds to keep it, what is left to those that are away and not named, in
--          2^40ths, whether this window was answered for before, milliseconds for which nothing
--          is lent where that is not known here, by which part of what is reserved this edge held
--          something before it asked, in 2^40ths, then the name of each that is away and its part,
--          one in so many.
-- Answers  {1, leased, used by all, left, beyond the limit, whether that is not known, so much is
--          still reserved} or {0, the number of a later question}.
local key, edge = KEYS[1], ARGV[1]
local number, used, held = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local wanted, limit, reserved = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local present = math.max(1, tonumber(ARGV[8]))

local before = redis.call('HMGET', key, edge, '=leased', '=used', '=relearns', '=parts')
local old_number, old_leased, old_used = 0, 0, 0
if before[1] then
  local a, b, c = string.match(before[1], '^(%d+) (%d+) (%d+)$')
  old_number, old_leased, old_used = tonumber(a), tonumber(b), tonumber(c)
end
if number <= old_number then
  return {0, old_number}
end
if ARGV[10] == '1' and old_leased > held then
  held = old_leased
end

local others = tonumber(before[2] or '0') - old_leased
local all_used = tonumber(before[3] or '0') - old_used + used
local away = math.ceil(limit * tonumber(ARGV[12]) / 1099511627776)
for at = 16, #ARGV, 2 do
  if redis.call('HEXISTS', key, ARGV[at]) == 0 then
    away = away + math.floor(limit / math.max(1, tonumber(ARGV[at + 1])))
  end
end

-- Lost, as where keys are evicted: first everybody says again what it holds.
local lost = ARGV[13] == '1' and not before[1]
local relearns = false
if lost or before[4] then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local relearned = before[4] and tonumber(before[4]) or now + tonumber(ARGV[14])
  if not before[4] then
    redis.call('HSET', key, '=relearns', string.format('%.0f', relearned))
  end
  relearns = now < relearned
end

-- What an edge that has asked may use of it is among its lease.
local parts = tonumber(before[5] or '0')
if not before[1] then
  parts = parts + tonumber(ARGV[15])
end
reserved = math.ceil(reserved * math.max(0, 1099511627776 - parts) / 1099511627776)

local pool = math.max(0, limit - reserved - others - held - away)
local even = 0
if ARGV[9] == '1' then
  even = used + math.floor(math.floor(math.max(0, limit - all_used) / 2) / present)
end
local more = math.max(0, math.max(wanted, even) - held)
more = relearns and 0 or math.min(more, math.ceil(pool / 2))

local whole = function(value) return string.format('%.0f', value) end
redis.call('HSET', key,
  edge, whole(number) .. ' ' .. whole(held + more) .. ' ' .. whole(used),
  '=leased', whole(others + held + more),
  '=used', whole(all_used),
  '=parts', whole(parts))
redis.call('PEXPIRE', key, ARGV[11])
return {1, held + more, all_used, pool - more, math.max(0, others + held + reserved - limit), lost and 1 or 0, reserved}
