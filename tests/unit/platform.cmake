# Unit tests of platform/.
ds_unit_test(base ds_base)
ds_unit_test(json ds_base)
ds_unit_test(sim ds_sim)
ds_unit_test(crypto ds_crypto)
ds_unit_test(db ds_db ds_posix ds_sim)
ds_unit_test(http ds_http ds_posix)
