# conf: what is installed as configuration.
