# Every operation of the disk broken in turn. Whole in preset release; elsewhere a part, with sanitizers.
ds_test_program(store_sweep ${PROJECT_SOURCE_DIR}/tests/sweep/store_sweep.c ds_agent ds_sim)
if(DOORSTEP_SANITIZE)
    add_test(NAME sweep.store COMMAND store_sweep --step 23)
else()
    add_test(NAME sweep.store COMMAND store_sweep)
endif()
ds_test_settings(sweep.store sweep 600)
