# Unit tests of risk/: one line each, such as  ds_unit_test(session ds_risk)
