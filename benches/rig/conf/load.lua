-- One request, built once; wrk repeats it. The body's file is the script's argument; every other
-- argument is one header, "Name: value".
function init(args)
  local file = assert(io.open(args[1], "rb"))
  wrk.method = "POST"
  wrk.body = file:read("*a")
  file:close()
  for i = 2, #args do
    local name, value = args[i]:match("^([^:]+): (.*)$")
    wrk.headers[name] = value
  end
end

-- One line for the rig to read, with every way in which a request can have failed.
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "rig requests=%d duration_us=%d connect=%d read=%d write=%d timeout=%d status=%d\n",
    summary.requests, summary.duration,
    errors.connect, errors.read, errors.write, errors.timeout, errors.status))
end
