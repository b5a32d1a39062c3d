# Unit tests of forms/: one line each, such as  ds_unit_test(session ds_forms)
