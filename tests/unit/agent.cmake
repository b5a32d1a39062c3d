# Unit tests of agent/: one line each, such as  ds_unit_test(session ds_agent)
ds_unit_test(store ds_agent ds_sim)
ds_unit_test(list_store ds_lists)
ds_unit_test(visit ds_agent ds_sim)
