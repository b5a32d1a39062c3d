# Unit tests of agent/: one line each, such as  ds_unit_test(session ds_agent)
