# shared/ipc: libipc.a.
