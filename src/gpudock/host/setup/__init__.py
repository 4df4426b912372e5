"""How the machine is set up: the readers behind facts.setup. Only registry mirrors need a network."""
