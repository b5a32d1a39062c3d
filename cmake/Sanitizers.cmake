# How our own code is instrumented, as the target ds_instrument. Third-party code built here is not
# instrumented: it has its own tests, and SQLite under ASan would make the whole suite several times slower.
add_library(ds_instrument INTERFACE)

if(DOORSTEP_SANITIZE)
    target_compile_options(ds_instrument INTERFACE
        -fsanitize=${DOORSTEP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(ds_instrument INTERFACE -fsanitize=${DOORSTEP_SANITIZE})
    # Every arena allocation is a block of its own, so that a step past its end is seen.
    target_compile_definitions(ds_instrument INTERFACE DOORSTEP_ARENA_EACH)
endif()

if(DOORSTEP_FUZZ)
    if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
        message(FATAL_ERROR "libFuzzer needs clang; use the preset fuzz")
    endif()
    target_compile_options(ds_instrument INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(DOORSTEP_COVERAGE)
    target_compile_options(ds_instrument INTERFACE --coverage)
    target_link_options(ds_instrument INTERFACE --coverage)
endif()
