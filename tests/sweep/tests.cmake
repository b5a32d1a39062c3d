# Every operation of the disk broken in turn. Whole in preset release; elsewhere a part, with sanitizers.
ds_test_program(store_sweep ${PROJECT_SOURCE_DIR}/tests/sweep/store_sweep.c ds_agent ds_sim)
if(DOORSTEP_SANITIZE)
    add_test(NAME sweep.store COMMAND store_sweep --step 23)
else()
    add_test(NAME sweep.store COMMAND store_sweep)
endif()
ds_test_settings(sweep.store sweep 600)

# Every byte of a TCP connection cut in turn; all of them takes a quarter of an hour (see the program's head).
ds_test_program(tcp_cuts ${PROJECT_SOURCE_DIR}/tests/sweep/tcp_cuts.c ds_server ds_posix)
if(DOORSTEP_SANITIZE)
    add_test(NAME sweep.tcp_cuts COMMAND tcp_cuts --step 997)
else()
    add_test(NAME sweep.tcp_cuts COMMAND tcp_cuts --step 41)
endif()
ds_test_settings(sweep.tcp_cuts sweep 600)
