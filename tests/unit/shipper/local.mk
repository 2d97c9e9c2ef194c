# Unit tests of shipper: one program tests/unit/shipper/test_x per module.
