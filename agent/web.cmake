# The pages of agent/web are built into the program as they are, but for the spaces that lines begin with: a
# fifth of the bytes. No text of theirs spans lines.
set(web ${CMAKE_CURRENT_SOURCE_DIR}/web)
file(GLOB web_files CONFIGURE_DEPENDS ${web}/*.html ${web}/*.css ${web}/*.js ${web}/*.svg)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${web_files})
set(web_type.html "text/html; charset=utf-8")
set(web_type.css "text/css; charset=utf-8")
set(web_type.js "text/javascript; charset=utf-8")
set(web_type.svg "image/svg+xml")
set(web_arrays "")
set(web_rows "")
set(web_number 0)
foreach(file ${web_files})
    get_filename_component(name ${file} NAME)
    get_filename_component(extension ${file} EXT)
    file(READ ${file} hex HEX)
    string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
    string(REGEX REPLACE "0x0a,(0x20,)+" "0x0a," hex "${hex}")
    string(APPEND web_arrays "static const unsigned char file_${web_number}[] = {${hex}0};\n")
    set(web_type ${web_type${extension}})
    set(web_array file_${web_number})
    string(APPEND web_rows "    {\"${name}\", \"${web_type}\", ${web_array}, sizeof ${web_array} - 1},\n")
    math(EXPR web_number "${web_number} + 1")
endforeach()
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/serve_files.c @ONLY CONTENT
"#include \"agent/serve.h\"
@web_arrays@
const struct serve_file serve_files[] = {
@web_rows@};
const size_t serve_file_count = sizeof serve_files / sizeof *serve_files;
")
