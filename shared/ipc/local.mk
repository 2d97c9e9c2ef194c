# shared/ipc: libipc.a.

noinst_LIBRARIES += libipc.a
libipc_a_SOURCES = \
	shared/ipc/channel.c shared/ipc/channel.h \
	shared/ipc/double_map.c shared/ipc/double_map.h \
	shared/ipc/lane_page.c shared/ipc/lane_page.h shared/ipc/lane_page_layout.h \
	shared/ipc/messages.def shared/ipc/messages.h \
	shared/ipc/metrics.def \
	shared/ipc/ring.c shared/ipc/ring.h shared/ipc/ring_layout.h \
	shared/ipc/status_page.c shared/ipc/status_page.h
