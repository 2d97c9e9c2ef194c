# Unit tests of options: one program tests/unit/options/test_x per module.
