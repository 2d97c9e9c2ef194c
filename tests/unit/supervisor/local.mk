# Unit tests of supervisor: one program tests/unit/supervisor/test_x per module.
