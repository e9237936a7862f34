-- The same event from one key after another. Arguments: the file of the body; keys of a project; how
-- many keys take part; how many requests were sent before; then headers, "Name: value".
--
-- The keys are those of estate.rs: the words of a generator that is seeded with their number.
local bit = require("bit")
local first_key = "a94ae32be2584e0bbd7a4cbb95971fee"
-- Shares no factor with any number of keys here, and leads far away with each step.
local stride = 618033

local function after(word)
  word = bit.bxor(word, bit.lshift(word, 13))
  word = bit.bxor(word, bit.rshift(word, 17))
  return bit.bxor(word, bit.lshift(word, 5))
end

local function key(number)
  if number == 0 then return first_key end
  local word = after(after(after(after(number + 1))))
  local second = after(word)
  local third = after(second)
  return bit.tohex(word) .. bit.tohex(second) .. bit.tohex(third) .. bit.tohex(after(third))
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  for i = 5, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
  local keys_each, keys, sent = tonumber(args[2]), tonumber(args[3]), tonumber(args[4])
  local whole = wrk.format(nil, "@")
  local at = assert(whole:find("@", 1, true))
  local before, behind = whole:sub(1, at - 1), whole:sub(at + 1)
  request = function()
    local number = (sent * stride) % keys
    sent = sent + 1
    local project = math.floor(number / keys_each)
    local id = project == 0 and 42 or 1000 + project
    return before .. "/api/" .. id .. "/envelope/?sentry_key=" .. key(number) ..
      "&sentry_version=7" .. behind
  end
end

-- One line for the rig to read, with every way in which a request can have failed.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "rig requests=%d duration_us=%d connect=%d read=%d write=%d timeout=%d status=%d ok=0 denied=0 limited=0\n",
    summary.requests, summary.duration,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
