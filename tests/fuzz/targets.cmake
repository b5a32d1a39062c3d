# The fuzz targets, one for every place where bytes come in from outside. Seeds lie in corpus/NAME/.
ds_fuzz_target(expr ds_forms)
ds_fuzz_target(xform ds_forms)
ds_fuzz_target(submission ds_forms)
ds_fuzz_target(odk_key ds_forms)
ds_fuzz_target(extras ds_forms)
ds_fuzz_target(csv ds_forms)
ds_fuzz_target(geojson ds_forms)
ds_fuzz_target(json ds_base)
ds_fuzz_target(frame ds_sync)
ds_fuzz_target(payload ds_sync)
ds_fuzz_target(receipt ds_sync)
ds_fuzz_target(enrol ds_sync)
ds_fuzz_target(pack ds_risk)

# Writes the seeds of the sync targets; run by hand when a format changes (see its head).
ds_test_program(fuzz_seeds ${PROJECT_SOURCE_DIR}/tests/fuzz/seeds.c ds_sync)
set_target_properties(fuzz_seeds PROPERTIES EXCLUDE_FROM_ALL TRUE)
