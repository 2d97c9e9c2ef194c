# shared/ipc: libipc.a.

noinst_LIBRARIES += libipc.a
libipc_a_SOURCES = \
	shared/ipc/double_map.c shared/ipc/double_map.h \
	shared/ipc/lane_page.c shared/ipc/lane_page.h shared/ipc/lane_page_layout.h \
	shared/ipc/ring.c shared/ipc/ring.h shared/ipc/ring_layout.h
