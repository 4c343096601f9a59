-- Included by scripts that count finished tries. Wire format 5.15.

-- Refuse counters of another type; called before anything is written.
local function check_counters(...)
  for _, counter in ipairs({...}) do
    redis.call('GET', counter)
  end
end

local function add(counter, n, highest)
  if tonumber(redis.call('GET', counter) or 0) >= tonumber(highest) - n then
    redis.call('SET', counter, n)
    return true
  end
  redis.call('INCRBY', counter, n)
  return false
end

local function add_today(counter, n, day_ends_at)
  if redis.call('INCRBY', counter, n) == n then
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
    if add(processed, n, highest) then
      redis.call('SET', failed, n)
    else
      redis.call('INCRBY', failed, n)
    end
  end
end
