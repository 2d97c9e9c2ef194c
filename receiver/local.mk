# receiver: the stage that speaks with clients (sluice-receiver).

noinst_LIBRARIES += libreceiver.a
libreceiver_a_SOURCES = \
	receiver/answers.c \
	receiver/answers.h \
	receiver/budget.c \
	receiver/budget.h \
	receiver/clients.c \
	receiver/clients.h \
	receiver/connection.c \
	receiver/connection.h \
	receiver/connection_internal.h \
	receiver/forward_frame.c \
	receiver/forward_frame.h \
	receiver/handshake.c \
	receiver/handshake.h \
	receiver/heartbeat.c \
	receiver/heartbeat.h \
	receiver/json_frame.c \
	receiver/json_frame.h \
	receiver/json_scan.c \
	receiver/json_scan.h \
	receiver/list.h \
	receiver/listener.c \
	receiver/listener.h \
	receiver/messages.c \
	receiver/messages.h \
	receiver/outbox.c \
	receiver/outbox.h \
	receiver/peers.c \
	receiver/peers.h \
	receiver/pending.c \
	receiver/pending.h \
	receiver/pool.c \
	receiver/pool.h \
	receiver/producer.c \
	receiver/producer.h \
	receiver/receiver.c \
	receiver/receiver.h \
	receiver/space.c \
	receiver/space.h \
	receiver/table.c \
	receiver/table.h \
	receiver/wire.c \
	receiver/wire.h

pkglibexec_PROGRAMS += receiver/sluice-receiver
receiver_sluice_receiver_SOURCES = receiver/main.c
receiver_sluice_receiver_LDADD = libreceiver.a $(LIBS_ROLE) $(CRYPTO_LIBS) $(XXHASH_LIBS)
