-- Included by scripts that count finished tries. Wire format 5.15.

-- Refuse counters of another type; called before anything is written.
local function check_counters(...)
  for _, counter in ipairs({...}) do
    redis.call('GET', counter)
  end
end

-- One that is full, or holds no number, starts anew: to count must never be what keeps a task from its end.
local function add(counter, n, highest)
  local count = tonumber(redis.call('GET', counter) or 0)
  if count and count < tonumber(highest) - n and type(redis.pcall('INCRBY', counter, n)) == 'number' then
    return false
  end
  redis.call('SET', counter, n)
  return true
end

local function add_today(counter, n, day_ends_at)
  local count = redis.pcall('INCRBY', counter, n)
  if type(count) ~= 'number' then
    redis.call('SET', counter, n)
    count = n
  end
  if count == n then
    redis.call('EXPIREAT', counter, day_ends_at)
  end
end

local function count_success(today, total, n, day_ends_at, highest)
  if n > 0 then
    add_today(today, n, day_ends_at)
    add(total, n, highest)
  end
end

-- Both totals roll over together, when "processed" is full.
local function count_failure(processed_today, failed_today, processed, failed, n, day_ends_at, highest)
  if n > 0 then
    add_today(processed_today, n, day_ends_at)
    add_today(failed_today, n, day_ends_at)
    if add(processed, n, highest) or type(redis.pcall('INCRBY', failed, n)) ~= 'number' then
      redis.call('SET', failed, n)
    end
  end
end
