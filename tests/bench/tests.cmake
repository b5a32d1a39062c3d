# Counting instructions says something only where the compiler optimises and nothing watches.
if(DOORSTEP_SANITIZE STREQUAL "" AND CMAKE_BUILD_TYPE STREQUAL "Release")
    ds_script_test(bench.instructions tests/bench/instructions bench 600 $<TARGET_FILE:doorstep-bench>)
    ds_script_test(bench.convert tests/bench/convert bench 300 $<TARGET_FILE:doorstep>)
endif()
# Sizes are the same however the program was built.
ds_script_test(bench.payload tests/bench/payload bench 300 $<TARGET_FILE:doorstep-bench-payload>)
