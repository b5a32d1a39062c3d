# Unit tests of risk/: one line each, such as  ds_unit_test(session ds_risk)
ds_unit_test(pack ds_risk)
ds_unit_test(judge ds_risk)
ds_unit_test(script ds_agent)
