# Real programs, real processes, HTTP on loopback. Only where nothing is instrumented: the e2e suite is
# about the programs people run.
ds_test_program(relay ${PROJECT_SOURCE_DIR}/tests/support/relay.c)
ds_test_program(make_answers ${PROJECT_SOURCE_DIR}/tests/support/make_answers.c ds_forms ds_posix)
add_dependencies(programs relay make_answers)
if(NOT DOORSTEP_SANITIZE)
    ds_script_test(e2e.main_job tests/e2e/main_job e2e 300 ${PROJECT_BINARY_DIR})
    ds_script_test(e2e.real_forms tests/e2e/real_forms e2e 600 ${PROJECT_BINARY_DIR})
    ds_script_test(e2e.bad_input tests/e2e/bad_input e2e 600 ${PROJECT_BINARY_DIR})
    ds_script_test(e2e.private tests/e2e/private e2e 60 ${PROJECT_BINARY_DIR})
    ds_script_test(e2e.full_disk tests/e2e/full_disk e2e 120 ${PROJECT_BINARY_DIR})
    ds_script_test(e2e.kill tests/e2e/kill e2e 300 ${PROJECT_BINARY_DIR})
    ds_script_test(e2e.form_features tests/e2e/form_features e2e 300 ${PROJECT_BINARY_DIR})
endif()
