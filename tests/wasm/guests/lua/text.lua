-- Text from standard input: patterns, captures, formats, sorting, a text wrapped and indexed, files written and read back.
local text = io.read("a")
local counts, order = {}, {}
for word in text:gmatch("%a[%w_']*") do
    word = word:lower()
    if not counts[word] then counts[word] = 0; order[#order + 1] = word end
    counts[word] = counts[word] + 1
end
table.sort(order, function(a, b) if counts[a] ~= counts[b] then return counts[a] > counts[b] end return a < b end)
for i = 1, math.min(40, #order) do print(("%-20s|%5d|%6.2f%%"):format(order[i], counts[order[i]], 100 * counts[order[i]] / #order)) end
print(#text, #order, select(2, text:gsub("\n", "\n")))
local function wrap(s, width)
    local lines, line = {}, ""
    for word in s:gmatch("%S+") do
        if #line + #word + 1 > width then lines[#lines + 1] = line; line = word
        else line = line == "" and word or line .. " " .. word end
    end
    lines[#lines + 1] = line
    return lines
end
for _, width in ipairs { 30, 47, 72 } do
    local lines = wrap(text, width)
    local longest = 0
    for _, line in ipairs(lines) do longest = math.max(longest, #line) end
    print(width, #lines, longest, lines[1], lines[#lines])
end
print((text:sub(1, 400):gsub("%f[%w](%w)(%w*)", function(a, b) return a:upper() .. b:lower() end)))
print(("key = value ; other=thing"):gsub("(%w+)%s*=%s*(%w+)", "%2:%1"))
print(("[%q] [%5s] [%-5s] [%05d] [%x] [%e] [%g] [%c]"):format("a\nb\0c", "r", "l", 42, 255, 12345.678, 1e20, 65))
print(("x"):rep(20, ","), ("héllo"):len(), utf8.len("héllo"), utf8.char(72, 228, 8364, 128039))
for position, code in utf8.codes("aé€") do io.write(position, "=", code, " ") end
print()
local file = assert(io.open("words.txt", "w"))
for i, word in ipairs(order) do file:write(i, "\t", word, "\t", counts[word], "\n") end
file:close()
local sum, lines = 0, 0
for line in io.lines("words.txt") do
    local i, word, count = line:match("^(%d+)\t(%S+)\t(%d+)$")
    sum, lines = sum + tonumber(count) * tonumber(i), lines + 1
end
print("read back", lines, sum)
file = io.open("words.txt", "r+")
print(file:seek("end"), file:seek("set", 3), file:read(5), file:seek("cur"))
file:close()
print(os.rename("words.txt", "kept.txt"), (select(2, io.open("words.txt"))), (select(2, os.remove("nothing"))))
print(load("local a, b = ... ; return a * b + 1")(6, 7), arg[1], arg[2], #arg, os.getenv("NAMED"), os.getenv("ABSENT"))
