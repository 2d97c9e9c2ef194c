# Unit tests of base: one program tests/unit/base/test_x per module.
