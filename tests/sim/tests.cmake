if(NOT DOORSTEP_CENTRE)
    return()
endif()
# Whole runs in made-up time. The program is part of what ./run builds; long runs are asked of the release
# build.
ds_program(doorstep-sim
    SOURCES sim/main.c sim/world.c sim/visits.c sim/final.c sim/screen.c sim/history.c sim/centre.c
    LINKS ds_agent ds_server ds_sim)
if(DOORSTEP_SANITIZE)
    add_test(NAME sim.short COMMAND doorstep-sim --seeds 1-2 --devices 3 --batches 4)
    ds_test_settings(sim.short sim 600)
else()
    add_test(NAME sim.power_cuts COMMAND doorstep-sim --cuts 2000 --from 5000)
    add_test(NAME sim.seeds_1 COMMAND doorstep-sim --seeds 1-100)
    add_test(NAME sim.seeds_2 COMMAND doorstep-sim --seeds 101-200)
    ds_test_settings(sim.power_cuts sim 900)
    ds_test_settings(sim.seeds_1 sim 900)
    ds_test_settings(sim.seeds_2 sim 900)
    ds_script_test(sim.faults tests/sim/faults sim 900 ${PROJECT_BINARY_DIR})
endif()
