"""What was read of a machine: frozen values without behaviour. Import the modules; this package re-exports nothing."""
