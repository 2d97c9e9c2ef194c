# Unit tests of ipc: one program tests/unit/ipc/test_x per module.
