-- Data: JSON out and in, objects with metatables, closures, queens, a heap, a life of cells, collected garbage.
local function encode(value, out, indent)
    if type(value) == "table" then
        if #value > 0 then
            out[#out + 1] = "["
            for i, item in ipairs(value) do if i > 1 then out[#out + 1] = "," end encode(item, out, indent) end
            out[#out + 1] = "]"
        else
            local keys = {}
            for key in pairs(value) do keys[#keys + 1] = key end
            table.sort(keys)
            out[#out + 1] = "{"
            for i, key in ipairs(keys) do
                if i > 1 then out[#out + 1] = "," end
                out[#out + 1] = ("%q:"):format(key)
                encode(value[key], out, indent)
            end
            out[#out + 1] = "}"
        end
    elseif type(value) == "string" then out[#out + 1] = '"' .. value:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
    else out[#out + 1] = tostring(value) end
end
local function decode(text)
    local at = 1
    local function space() at = text:find("%S", at) or #text + 1 end
    local value
    local function list(close, item)
        local all = {}
        at = at + 1
        space()
        while text:sub(at, at) ~= close do
            item(all)
            space()
            if text:sub(at, at) == "," then at = at + 1; space() end
        end
        at = at + 1
        return all
    end
    function value()
        space()
        local c = text:sub(at, at)
        if c == "{" then
            return list("}", function(all) local key = value(); space(); at = at + 1; all[key] = value() end)
        elseif c == "[" then return list("]", function(all) all[#all + 1] = value() end)
        elseif c == '"' then
            local stop = text:find('"', at + 1, true)
            local s = text:sub(at + 1, stop - 1):gsub("\\u(%x%x%x%x)", function(x) return string.char(tonumber(x, 16)) end)
            at = stop + 1
            return s
        end
        local word = text:match("^[%w%.%+%-]+", at)
        at = at + #word
        if word == "true" then return true elseif word == "false" then return false end
        return math.tointeger(word) or tonumber(word)
    end
    return value()
end
local records = {}
for i = 1, 200 do records[i] = { id = i, name = "record \"" .. i .. "\"\n", ratio = i / 7, even = i % 2 == 0, parts = { i, i * i, { deep = i } } } end
local out = {}
encode(records, out)
local text = table.concat(out)
local again = {}
encode(decode(text), again)
print(#text, table.concat(again) == text, text:sub(1, 150))
local Point = {}
Point.__index = Point
Point.__add = function(a, b) return setmetatable({ x = a.x + b.x, y = a.y + b.y }, Point) end
Point.__eq = function(a, b) return a.x == b.x and a.y == b.y end
Point.__lt = function(a, b) return a.x < b.x end
Point.__tostring = function(p) return "(" .. p.x .. ", " .. p.y .. ")" end
Point.__call = function(p, k) return p.x * k end
Point.__concat = function(a, b) return tostring(a) .. "|" .. tostring(b) end
Point.__len = function() return 2 end
local function point(x, y) return setmetatable({ x = x, y = y }, Point) end
local p, q = point(1, 2), point(3, 4.5)
print(tostring(p + q), p == point(1, 2), p < q, q(10), p .. q, #p, rawlen(p), rawequal(p, p))
local function counter() local n = 0 return function(k) n = n + (k or 1) return n end end
local a, b = counter(), counter()
print(a(), a(5), b(), a(), select("#", a(), nil, nil), (select(-1, 1, 2, 3)))
local function queens(n)
    local count, columns, up, down = 0, {}, {}, {}
    local function place(row)
        if row > n then count = count + 1 return end
        for c = 1, n do
            if not (columns[c] or up[row + c] or down[row - c]) then
                columns[c], up[row + c], down[row - c] = true, true, true
                place(row + 1)
                columns[c], up[row + c], down[row - c] = nil, nil, nil
            end
        end
    end
    place(1)
    return count
end
print(queens(5), queens(6), queens(7))
local heap = {}
local function push(v) local i = #heap + 1 heap[i] = v while i > 1 and heap[i // 2] > heap[i] do heap[i], heap[i // 2] = heap[i // 2], heap[i] i = i // 2 end end
local function pop()
    local top, last = heap[1], table.remove(heap)
    if #heap == 0 then return top end
    heap[1] = last
    local i = 1
    while true do
        local child = 2 * i
        if child > #heap then break end
        if child < #heap and heap[child + 1] < heap[child] then child = child + 1 end
        if heap[i] <= heap[child] then break end
        heap[i], heap[child] = heap[child], heap[i]
        i = child
    end
    return top
end
for i = 1, 3000 do push(i * 7919 % 3001) end
local sorted, before = true, -1
for _ = 1, 3000 do local v = pop() sorted = sorted and v > before before = v end
print(sorted, before)
local cells = {}
for y = 1, 24 do cells[y] = {} for x = 1, 40 do cells[y][x] = (x * y * 31 + x) % 5 == 0 and 1 or 0 end end
for _ = 1, 30 do
    local next = {}
    for y = 1, 24 do
        next[y] = {}
        for x = 1, 40 do
            local n = -cells[y][x]
            for dy = -1, 1 do for dx = -1, 1 do n = n + cells[(y + dy - 1) % 24 + 1][(x + dx - 1) % 40 + 1] end end
            next[y][x] = (n == 3 or (n == 2 and cells[y][x] == 1)) and 1 or 0
        end
    end
    cells = next
end
for y = 1, 24 do print((table.concat(cells[y]):gsub("[01]", { ["0"] = ".", ["1"] = "#" }))) end
local weak = setmetatable({}, { __mode = "v" })
for i = 1, 100 do weak[i] = { i } end
local finished = 0
for _ = 1, 50 do setmetatable({}, { __gc = function() finished = finished + 1 end }) end
collectgarbage()
collectgarbage()
print(next(weak), finished)
goto done
print("never")
::done::
io.stderr:write("to the other stream\n")
os.exit(7, true)
