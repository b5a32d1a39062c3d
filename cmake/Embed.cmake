# Files as bytes in a program:
#
#   cmake -DOUT=web_files.c -DFILES=a.css;b.js -DFOLDER=DIR -P Embed.cmake
#
# writes a C file with one array per file and the table of server/web.h. Run at build time, when a file has
# changed; needs nothing but CMake.
set(types_css "text/css; charset=utf-8")
set(types_js "text/javascript; charset=utf-8")
set(types_svg "image/svg+xml")
set(arrays "")
set(rows "")
set(n 0)
foreach(name IN LISTS FILES)
    file(READ ${FOLDER}/${name} hex HEX)
    file(SHA256 ${FOLDER}/${name} hash)
    string(SUBSTRING ${hash} 0 12 hash)
    string(LENGTH "${hex}" size)
    math(EXPR size "${size} / 2")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
    string(REGEX REPLACE "((0x..,){20})" "\\1\n    " bytes "${bytes}")
    string(REGEX REPLACE ".*\\." "" extension ${name})
    string(APPEND arrays "static const unsigned char bytes_${n}[] = {\n    ${bytes}0};\n")
    string(APPEND rows "    {\"${name}\", \"${types_${extension}}\", \"/web/${hash}/${name}\",\n"
        "     {(const char *)bytes_${n}, ${size}}},\n")
    math(EXPR n "${n} + 1")
endforeach()
file(WRITE ${OUT} "/* Made by cmake/Embed.cmake. */\n#include \"server/web.h\"\n\n${arrays}\n"
    "const struct web_file web_files[] = {\n${rows}};\n"
    "const uint32_t web_file_count = ${n};\n")
