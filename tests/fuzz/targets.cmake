# The fuzz targets, one for every place where bytes come in from outside. Seeds lie in corpus/NAME/.
ds_fuzz_target(expr ds_forms)
ds_fuzz_target(xform ds_forms)
ds_fuzz_target(json ds_base)
ds_fuzz_target(frame ds_sync)
ds_fuzz_target(batch ds_sync)
ds_fuzz_target(pack ds_risk)
