# doorstep-cases runs the published cases; docs/forms-decisions.tsv is built into it.
set(decisions ${PROJECT_SOURCE_DIR}/docs/forms-decisions.tsv)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${decisions})
file(READ ${decisions} hex HEX)
string(REGEX REPLACE "(..)" "0x\\1," hex "${hex}")
file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/cases/decisions_table.c @ONLY CONTENT
"#include <stddef.h>
extern const unsigned char forms_decisions[];
extern const size_t forms_decisions_size;
const unsigned char forms_decisions[] = {@hex@0};
const size_t forms_decisions_size = sizeof(forms_decisions) - 1;
")

# libxml2 evaluates the expectations of pyxform cases and compares forms; it is in no program that ships, so
# a cross build does without.
pkg_check_modules(dep_libxml2 QUIET IMPORTED_TARGET libxml-2.0)
if(NOT dep_libxml2_FOUND)
    message(STATUS "libxml2 is not here: doorstep-cases skips pyxform cases, and the tests "
        "conformance.pyxform and conformance.workbooks are left out")
endif()
add_executable(doorstep-cases cases/main.c cases/decisions.c
    cases/case_xpath.c cases/case_scenario.c cases/case_forms.c
    $<IF:$<BOOL:${dep_libxml2_FOUND}>,cases/case_pyxform.c,cases/no_pyxform.c>
    ${CMAKE_CURRENT_BINARY_DIR}/cases/decisions_table.c)
target_link_libraries(doorstep-cases PRIVATE ds_language ds_forms ds_crypto)
if(dep_libxml2_FOUND)
    target_link_libraries(doorstep-cases PRIVATE PkgConfig::dep_libxml2)
endif()
target_compile_definitions(doorstep-cases PRIVATE _GNU_SOURCE=)

ds_runnable(doorstep-cases cases)
ds_script_test(conformance.xpath tests/conformance/xpath conformance 300 ${cases})
ds_script_test(conformance.forms tests/conformance/forms conformance 300 ${cases})
ds_script_test(conformance.scenario tests/conformance/scenario conformance 300 ${cases})
if(dep_libxml2_FOUND)
    ds_script_test(conformance.pyxform tests/conformance/pyxform conformance 300
        $<TARGET_FILE:doorstep-cases>)

    add_executable(compare_forms support/compare_forms.c)
    target_link_libraries(compare_forms PRIVATE ds_language PkgConfig::dep_libxml2)
    target_compile_definitions(compare_forms PRIVATE _GNU_SOURCE=)
    set_target_properties(compare_forms PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    ds_script_test(conformance.workbooks tests/conformance/workbooks conformance 300
        $<TARGET_FILE:doorstep> $<TARGET_FILE:compare_forms>)
endif()

ds_test_program(hold_interviews ${PROJECT_SOURCE_DIR}/tests/support/hold_interviews.c
    ds_forms ds_crypto ds_posix)
target_sources(hold_interviews PRIVATE ${PROJECT_SOURCE_DIR}/tests/support/auto_answers.c)
if(NOT CMAKE_CROSSCOMPILING)
    ds_script_test(conformance.interviews tests/conformance/interviews conformance 300
        $<TARGET_FILE:hold_interviews>)
endif()
