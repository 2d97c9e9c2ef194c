# Unit tests of receiver: one program tests/unit/receiver/test_x per module.
