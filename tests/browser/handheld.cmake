# The handheld's screens: real agent, real centre.
if(NOT DOORSTEP_SANITIZE)
    ds_script_test(browser.handheld tests/browser/handheld browser 600 ${PROJECT_BINARY_DIR})
endif()
