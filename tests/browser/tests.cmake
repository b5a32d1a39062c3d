# The screens in a real Chromium (tests/browser/lib.mjs). As the programs that people run: not where anything
# is instrumented.
if(NOT DOORSTEP_CENTRE)
    return()
endif()
ds_test_program(seed_centre ${PROJECT_SOURCE_DIR}/tests/support/seed_centre.c ds_server)
add_dependencies(programs seed_centre)
if(NOT DOORSTEP_SANITIZE)
    ds_script_test(browser.centre tests/browser/centre browser 300 ${PROJECT_BINARY_DIR})
endif()
include(${CMAKE_CURRENT_LIST_DIR}/handheld.cmake OPTIONAL)
