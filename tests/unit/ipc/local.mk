# Unit tests of ipc: one program tests/unit/ipc/test_x per module.

check_PROGRAMS += tests/unit/ipc/test_channel tests/unit/ipc/test_status_page
tests_unit_ipc_test_channel_SOURCES = tests/unit/ipc/test_channel.c
tests_unit_ipc_test_channel_LDADD = libipc.a libbase.a $(CMOCKA_LIBS)
tests_unit_ipc_test_status_page_SOURCES = tests/unit/ipc/test_status_page.c
tests_unit_ipc_test_status_page_LDADD = libipc.a libbase.a $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/ipc/test_ring tests/unit/ipc/test_lane_page
tests_unit_ipc_test_ring_SOURCES = tests/unit/ipc/test_ring.c
tests_unit_ipc_test_ring_LDADD = libipc.a libbase.a $(CMOCKA_LIBS)
tests_unit_ipc_test_lane_page_SOURCES = tests/unit/ipc/test_lane_page.c
tests_unit_ipc_test_lane_page_LDADD = libipc.a libbase.a $(CMOCKA_LIBS)
