# Lines of any text to C string literals, one a line; byte by byte, so that whatever stands there survives. Run with
# LC_ALL=C.   awk -v end='\\n' -f tools/c-strings.awk FILE   puts `end` behind each line.
BEGIN {
    for (i = 1; i < 32; i++) escape[sprintf("%c", i)] = sprintf("\\%03o", i)
    escape["\""] = "\\\""; escape["\\"] = "\\\\"; escape["?"] = "\\?"
}
{
    text = ""
    for (i = 1; i <= length($0); i++) {
        c = substr($0, i, 1)
        text = text ((c in escape) ? escape[c] : c)
    }
    printf "        \"%s%s\"\n", text, end
}
