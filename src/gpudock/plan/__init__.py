"""The contract with container start. Pure, standard library only, Python >= 3.9."""
