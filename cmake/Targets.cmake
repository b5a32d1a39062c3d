# How a library and a program of ours are declared.
#
#   ds_library(NAME [POSIX] SOURCES a.c b.c ... [LINKS lib ...])
#   ds_program(NAME SOURCES main.c ... LINKS lib ...)
#
# LINKS are public, so that who may use whom can be read from the link lines. POSIX says that the sources
# may use the operating system; without it only C11 is declared, which is what keeps the cores pure at
# compile time.

# C11 without compiler extensions; floating point is never contracted, so that a handheld, a server and every
# build give the same last bit.
add_library(ds_language INTERFACE)
target_compile_features(ds_language INTERFACE c_std_11)
target_compile_options(ds_language INTERFACE -ffp-contract=off)
target_include_directories(ds_language INTERFACE ${PROJECT_SOURCE_DIR})
target_link_libraries(ds_language INTERFACE ds_warnings ds_instrument)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)

function(ds_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "POSIX" "" "SOURCES;LINKS")
    add_library(${name} STATIC ${arg_SOURCES})
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL ${DOORSTEP_FUZZ}) # only what a target links
    target_link_libraries(${name} PRIVATE ds_language PUBLIC ${arg_LINKS})
    if(arg_POSIX)
        target_compile_definitions(${name} PRIVATE _GNU_SOURCE=)
    endif()
endfunction()

# All programs together, without the tests: what ./run builds.
add_custom_target(programs)

function(ds_program name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;LINKS")
    if(NOT DOORSTEP_FUZZ)
        add_executable(${name} ${arg_SOURCES})
        target_link_libraries(${name} PRIVATE ds_language ${arg_LINKS})
        target_compile_definitions(${name} PRIVATE _GNU_SOURCE=)
        add_dependencies(programs ${name})
    endif()
endfunction()
