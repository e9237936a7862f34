-- One request, built once; wrk repeats it. Arguments: the file of the body; the path of each tenth
-- request, or "-"; "count" to count answers by status, or "-"; then headers, "Name: value".
local counted

function setup(thread)
  counted = thread
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  for i = 4, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
  if args[2] ~= "-" then
    local usual, tenth, sent = wrk.format(), wrk.format(nil, args[2]), 0
    request = function()
      sent = sent + 1
      if sent % 10 == 0 then return tenth end
      return usual
    end
  end
  -- Only where it is needed: wrk is faster where nobody asks for each answer.
  ok, denied, limited = 0, 0, 0
  if args[3] == "count" then
    response = function(status)
      if status == 200 then ok = ok + 1 end
      if status == 403 then denied = denied + 1 end
      if status == 429 then limited = limited + 1 end
    end
  end
end

-- One line for the rig to read, with every way in which a request can have failed.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "rig requests=%d duration_us=%d connect=%d read=%d write=%d timeout=%d status=%d ok=%d denied=%d limited=%d\n",
    summary.requests, summary.duration,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status,
    counted:get("ok"), counted:get("denied"), counted:get("limited")))
end
