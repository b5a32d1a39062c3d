# Unit tests of server/: one line each, such as  ds_unit_test(session ds_server)
ds_unit_test(server ds_server ds_sim)
ds_unit_test(roles ds_server)
ds_unit_test(root ds_server)
ds_unit_test(qr ds_server)
ds_unit_test(audit_chain ds_server ds_sim)
ds_unit_test(accounts ds_server ds_sim)
ds_unit_test(accept ds_server ds_sim)
ds_unit_test(export ds_server ds_sim)
ds_unit_test(review ds_server ds_sim)
ds_unit_test(judging ds_server ds_sim)
ds_unit_test(differential ds_server ds_sim)
ds_unit_test(transport ds_server ds_sim)
ds_unit_test(lines ds_server ds_sim)
ds_unit_test(page ds_server)
ds_unit_test(reports ds_server ds_sim)
ds_unit_test(household ds_server ds_sim)
ds_unit_test(import ds_server ds_sim)
ds_unit_test(erase ds_server ds_sim)
ds_unit_test(stage ds_server ds_sim)

# The same with the county in PostgreSQL.
foreach(name server accept review export judging transport lines import)
    add_test(NAME unit.${name}.postgres
        COMMAND ${PROJECT_SOURCE_DIR}/tests/support/with_postgres $<TARGET_FILE:test_${name}>)
    ds_test_settings(unit.${name}.postgres unit 300)
endforeach()
if(NOT DOORSTEP_SANITIZE) # 100,000 merges take their time there
    add_test(NAME unit.differential.postgres
        COMMAND ${PROJECT_SOURCE_DIR}/tests/support/with_postgres $<TARGET_FILE:test_differential>)
    ds_test_settings(unit.differential.postgres unit 300)
endif()

# Every verb of the store, on both.
ds_unit_test(cstore ds_server ds_sim)
add_test(NAME unit.cstore.postgres
    COMMAND ${PROJECT_SOURCE_DIR}/tests/support/with_postgres $<TARGET_FILE:test_cstore>)
ds_test_settings(unit.cstore.postgres unit 300)
