# Unit tests of journal: one program tests/unit/journal/test_x per module.
