# Unit tests of server/: one line each, such as  ds_unit_test(session ds_server)
ds_unit_test(server ds_server ds_sim)
ds_unit_test(accept ds_server ds_sim)
ds_unit_test(export ds_server ds_sim)
