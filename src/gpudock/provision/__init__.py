"""Setting machines up and saying what is wrong with them."""
