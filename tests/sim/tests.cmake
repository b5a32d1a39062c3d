# Whole runs in made-up time. The program is part of what ./run builds; long runs are asked of the release
# build.
ds_program(doorstep-sim
    SOURCES sim/main.c sim/world.c sim/visits.c sim/final.c sim/screen.c sim/history.c sim/centre.c
    LINKS ds_agent ds_server ds_sim)
if(DOORSTEP_SANITIZE)
    add_test(NAME sim.short COMMAND doorstep-sim --seeds 1-2 --devices 2 --batches 4)
    ds_test_settings(sim.short sim 600)
else()
    add_test(NAME sim.power_cuts COMMAND doorstep-sim --cuts 500)
    ds_test_settings(sim.power_cuts sim 600)
    add_test(NAME sim.seeds COMMAND doorstep-sim --seeds 1000-1019)
    ds_test_settings(sim.seeds sim 600)
endif()
