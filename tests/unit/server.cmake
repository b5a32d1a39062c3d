# Unit tests of server/: one line each, such as  ds_unit_test(session ds_server)
