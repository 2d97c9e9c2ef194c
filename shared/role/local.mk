# shared/role: librole.a.
