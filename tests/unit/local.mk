# Unit tests, one folder per library or role. Without cmocka `make check` fails with the reason
# instead of passing with nothing run.
if HAVE_CMOCKA
include tests/unit/base/local.mk
include tests/unit/ipc/local.mk
include tests/unit/journal/local.mk
include tests/unit/options/local.mk
include tests/unit/otlp/local.mk
include tests/unit/role/local.mk
include tests/unit/receiver/local.mk
include tests/unit/processor/local.mk
include tests/unit/shipper/local.mk
include tests/unit/supervisor/local.mk
else
check-local:
	@echo "make check needs cmocka: apt-get install libcmocka-dev, then configure again" >&2
	@false
endif
