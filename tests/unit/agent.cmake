# Unit tests of agent/: one line each, such as  ds_unit_test(session ds_agent)
ds_unit_test(list_store ds_lists)
