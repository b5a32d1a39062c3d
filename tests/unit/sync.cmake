# Unit tests of sync/: one line each, such as  ds_unit_test(session ds_sync)
