# Unit tests of forms/: one line each, such as  ds_unit_test(session ds_forms)
ds_unit_test(expr ds_forms)
ds_unit_test(xml_tree ds_forms)
ds_unit_test(list ds_forms)
