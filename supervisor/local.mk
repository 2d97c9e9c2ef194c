# supervisor: the daemon sluiced and the CLI sluicectl.
