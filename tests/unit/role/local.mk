# Unit tests of role: one program tests/unit/role/test_x per module.
